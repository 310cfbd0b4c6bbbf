"""The detector of canonical keypoints: where they lie in space on a face that looks ahead with no expression."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.models.facevid2vid.blocks import DownBlock2d, UpBlock3d, at_least_single, coordinate_grid
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig

__all__ = ["KeypointDetector"]


class BlurredShrink(nn.Module):
    """Pictures (B, 3, H, W) to every `factor`-th pixel of their blur, as the first-order model shrinks them."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        sigma = (factor - 1) / 2
        self.factor, self.reach = factor, round(sigma * 4)
        offsets = torch.arange(-self.reach, self.reach + 1, dtype=torch.float32)
        profile = torch.exp(-(offsets**2) / (2 * sigma**2))
        kernel = profile[:, None] * profile[None, :]
        self.weight: Tensor
        self.register_buffer("weight", (kernel / kernel.sum()).expand(channels, 1, -1, -1).clone())

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight, stride=self.factor, padding=self.reach, groups=len(self.weight))


class KeypointHourglass(nn.Module):
    """Down in the plane, channels folded into depth, up in space."""

    def __init__(self, config: FaceVid2VidNetworkConfig) -> None:
        super().__init__()
        levels = config.detector_levels
        widths = [min(config.detector_max_width, config.detector_width * 2**level) for level in range(levels + 1)]
        self.down_blocks = nn.Sequential()
        for level, (before, after) in enumerate(zip((3, *widths[1:-1]), widths[1:], strict=True)):
            self.down_blocks.add_module(f"down{level}", DownBlock2d(before, after))
        self.conv = nn.Conv2d(widths[-1], widths[-1] * config.volume_depth, 1)
        self.up_blocks = nn.Sequential()
        for level, (before, after) in enumerate(zip(widths[:0:-1], widths[-2::-1], strict=True)):
            self.up_blocks.add_module(f"up{level}", UpBlock3d(before, after))
        self.depth, self.made = config.volume_depth, widths[0]

    def forward(self, x: Tensor) -> Tensor:
        flat = self.conv(self.down_blocks(x))
        volume: Tensor = self.up_blocks(flat.unflatten(1, (-1, self.depth)))
        return volume


class KeypointDetector(nn.Module):
    """Pictures (B, 3, S, S) in 0..1 to canonical keypoints (B, K, 3), x, y, z in -1..1 (right, down, away)."""

    def __init__(self, config: FaceVid2VidNetworkConfig) -> None:
        super().__init__()
        self.predictor = KeypointHourglass(config)
        self.kp = nn.Conv3d(self.predictor.made, config.keypoints, 3, padding=1)
        self.temperature = config.temperature
        self.shrinks = config.detector_shrink != 1
        if self.shrinks:
            self.down = BlurredShrink(3, config.detector_shrink)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.kp(self.predictor(self.down(pictures) if self.shrinks else pictures))
        # A map has 65536 cells, and half precision loses their sum.
        shares = torch.softmax(at_least_single(maps.flatten(2)) / self.temperature, dim=2)
        cells = coordinate_grid((maps.shape[2], maps.shape[3], maps.shape[4]), shares).flatten(0, 2)
        return (shares @ cells).to(maps.dtype)
