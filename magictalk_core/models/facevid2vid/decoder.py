"""From features of a picture to the picture: with SPADE and spectral norm, or with plain residual blocks."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.models.facevid2vid.appearance import feature_width
from magictalk_core.models.facevid2vid.blocks import ResidualBlock2d, SpectralConv2d, UpBlock2d
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig

__all__ = ["PlainDecoder", "SpadeDecoder"]

_LEAK = 0.2


class Spade(nn.Module):
    """Each channel to mean 0 and deviation 1 over its picture, then a scale and a shift read from the features."""

    def __init__(self, channels: int, guide: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(guide, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        shared = self.mlp_shared(functional.interpolate(guide, size=x.shape[2:], mode="nearest"))
        scale: Tensor = self.mlp_gamma(shared)
        shift: Tensor = self.mlp_beta(shared)
        return functional.instance_norm(x) * (1 + scale) + shift


class SpadeBlock(nn.Module):
    """SPADE, leaky ReLU and convolution twice, added to what came in: to its 1 x 1 convolution where widths differ."""

    def __init__(self, channels: int, made: int, guide: int, hidden: int) -> None:
        super().__init__()
        inner = min(channels, made)
        self.widens = channels != made
        self.conv_0 = SpectralConv2d(channels, inner, 3, padding=1)
        self.conv_1 = SpectralConv2d(inner, made, 3, padding=1)
        self.norm_0 = Spade(channels, guide, hidden)
        self.norm_1 = Spade(inner, guide, hidden)
        if self.widens:
            self.conv_s = SpectralConv2d(channels, made, 1, bias=False)
            self.norm_s = Spade(channels, guide, hidden)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        around = self.conv_s(self.norm_s(x, guide)) if self.widens else x
        inner = self.conv_0(functional.leaky_relu(self.norm_0(x, guide), _LEAK))
        changed: Tensor = self.conv_1(functional.leaky_relu(self.norm_1(inner, guide), _LEAK))
        return around + changed


_MIDDLE = 6
"""Blocks at the size of the features."""


class SpadeDecoder(nn.Module):
    """Features (B, 256, s, s), which guide every block too, to pictures (B, 3, 4 s, 4 s) in 0..1."""

    def __init__(self, config: FaceVid2VidNetworkConfig) -> None:
        super().__init__()
        guide, hidden = feature_width(config), config.spade_hidden
        wide = 2 * guide
        self.fc = nn.Conv2d(guide, wide, 3, padding=1)
        for number in range(_MIDDLE):
            self.add_module(f"G_middle_{number}", SpadeBlock(wide, wide, guide, hidden))
        self.halvings = config.halvings
        # Two doublings, 512 to 256 to 64, are what the public network has; more halvings need more of them.
        widths = [wide, *(guide // 2**level for level in range(config.halvings - 1)), config.width]
        for number, (before, after) in enumerate(pairwise(widths)):
            self.add_module(f"up_{number}", SpadeBlock(before, after, guide, hidden))
        self.conv_img = nn.Conv2d(config.width, 3, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        x = self.fc(features)
        for number in range(_MIDDLE):
            x = self.get_submodule(f"G_middle_{number}")(x, features)
        for number in range(self.halvings):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = self.get_submodule(f"up_{number}")(x, features)
        return torch.sigmoid(self.conv_img(functional.leaky_relu(x, _LEAK)))


class PlainDecoder(nn.Module):
    """Features (B, 256, s, s) to pictures (B, 3, 4 s, 4 s) in 0..1."""

    def __init__(self, config: FaceVid2VidNetworkConfig) -> None:
        super().__init__()
        widths = [config.width * 2**level for level in range(config.halvings, -1, -1)]
        self.resblocks_2d = nn.Sequential()
        for number in range(config.residual_blocks):
            self.resblocks_2d.add_module(f"2dr{number}", ResidualBlock2d(widths[0]))
        self.up_blocks = nn.ModuleList(UpBlock2d(a, b) for a, b in pairwise(widths))
        self.final = nn.Conv2d(config.width, 3, 7, padding=3)

    def forward(self, features: Tensor) -> Tensor:
        x = self.resblocks_2d(features)
        for block in self.up_blocks:
            x = block(x)
        return torch.sigmoid(self.final(x))
