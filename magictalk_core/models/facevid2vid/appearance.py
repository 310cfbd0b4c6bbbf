"""What a portrait looks like, in space, and how it becomes features of a picture again."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.models.facevid2vid.blocks import DownBlock2d, ResidualBlock3d, SameBlock2d
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig

__all__ = ["AppearanceExtractor", "FeatureFusion", "feature_width"]

_LEAK = 0.01


def feature_width(config: FaceVid2VidNetworkConfig) -> int:
    """Channels of a picture's features where they are smallest, 256 of the public networks."""
    return config.width * int(2**config.halvings)


class AppearanceExtractor(nn.Module):
    """Pictures (B, 3, S, S) in 0..1 to features in space (B, channels, depth, S / 4, S / 4)."""

    def __init__(self, config: FaceVid2VidNetworkConfig) -> None:
        super().__init__()
        most = config.volume_channels * config.volume_depth
        widths = [min(most, config.width * 2**level) for level in range(config.halvings + 1)]
        # The two public networks differ here: 3 x 3 before the SPADE decoder, 7 x 7 before the plain one.
        self.first = SameBlock2d(3, config.width, kernel=3 if config.decoder == "spade" else 7)
        ends = [config.width, *widths[1:]]
        self.down_blocks = nn.ModuleList(DownBlock2d(a, b) for a, b in pairwise(ends))
        self.second = nn.Conv2d(ends[-1], most, 1)
        self.resblocks_3d = nn.Sequential()
        for number in range(config.residual_blocks):
            self.resblocks_3d.add_module(f"3dr{number}", ResidualBlock3d(config.volume_channels))
        self.depth = config.volume_depth

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.first(pictures)
        for block in self.down_blocks:
            x = block(x)
        volume: Tensor = self.resblocks_3d(self.second(x).unflatten(1, (-1, self.depth)))
        return volume


class FeatureFusion(nn.Module):
    """Warped features in space to features of a picture (B, 256, S / 4, S / 4), dark where nothing is known."""

    def __init__(self, config: FaceVid2VidNetworkConfig) -> None:
        super().__init__()
        made = feature_width(config)
        self.third = SameBlock2d(config.volume_channels * config.volume_depth, made, leak=_LEAK)
        self.fourth = nn.Conv2d(made, made, 1)

    def forward(self, warped: Tensor, occlusion: Tensor) -> Tensor:
        flat: Tensor = self.fourth(self.third(warped.flatten(1, 2)))
        if occlusion.shape[2:] != flat.shape[2:]:
            occlusion = functional.interpolate(occlusion, size=flat.shape[2:], mode="bilinear")
        return flat * occlusion
