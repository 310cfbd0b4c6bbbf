"""The discriminator of face-vid2vid: is a patch of this picture real? Used while training alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.models.facevid2vid.blocks import SpectralConv2d

__all__ = ["Discriminator", "Judged"]

_LEAK = 0.2
_KERNEL = 4


@dataclass(frozen=True)
class Judged:
    """`scores` (B, 1, h, w) of patches, more is more real; `features` after each block, to match pictures in."""

    scores: Tensor
    features: tuple[Tensor, ...]


class _Block(nn.Module):
    def __init__(self, channels: int, made: int, normed: bool, pooled: bool) -> None:
        super().__init__()
        self.conv = SpectralConv2d(channels, made, _KERNEL)
        self.norm = nn.InstanceNorm2d(made, affine=True) if normed else None
        self.pooled = pooled

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.norm is not None:
            x = self.norm(x)
        x = functional.leaky_relu(x, _LEAK)
        return functional.avg_pool2d(x, 2) if self.pooled else x


class _Scale(nn.Module):
    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        ends = [3, *(width * 2**level for level in range(blocks))]
        self.down_blocks = nn.ModuleList(
            _Block(before, after, normed=number > 0, pooled=number < blocks - 1)
            for number, (before, after) in enumerate(pairwise(ends))
        )
        self.conv = SpectralConv2d(ends[-1], 1, 1)

    def forward(self, pictures: Tensor) -> Judged:
        features = [pictures]
        for block in self.down_blocks:
            features.append(block(features[-1]))
        return Judged(self.conv(features[-1]), tuple(features[1:]))


class Discriminator(nn.Module):
    """Pictures (B, 3, S, S) in 0..1 to `Judged`: one scale, `blocks` of 4 x 4 convolutions without padding, channels
    `width` doubling with each. Instance norm but in the first block, spectral norm everywhere.

    Names of weights are those of the field's code, which has one such network per scale. Source: reference/models.md
    5.1.
    """

    def __init__(self, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        self.discs = nn.ModuleDict({"1": _Scale(width, blocks)})

    def forward(self, pictures: Tensor) -> Judged:
        judged: Judged = self.discs["1"](pictures)
        return judged

    @contextmanager
    def fixed(self) -> Iterator[None]:
        """While it lasts, gradients go through this network to the pictures and not to its own weights."""
        self.requires_grad_(False)
        try:
            yield
        finally:
            self.requires_grad_(True)
