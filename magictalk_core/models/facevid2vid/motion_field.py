"""From keypoints of source and driving to where every cell of the features comes from."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.models.facevid2vid.blocks import DownBlock3d, UpBlock3d, at_least_single, coordinate_grid
from magictalk_core.models.facevid2vid.config import FaceVid2VidNetworkConfig

__all__ = ["MotionField", "MotionFieldNetwork", "sparse_fields"]

_SPREAD = 0.01
"""Variance of the blob around a keypoint."""


@dataclass(frozen=True)
class MotionField:
    """`field` (B, D, H, W, 3), never in half precision: where a cell comes from, in -1..1; `masks` (B, K + 1, D, H, W):
    how much each keypoint's motion counts there, the first of them "stays"; `occlusion` (B, 1, H, W): how much of a
    cell the source shows."""

    field: Tensor
    masks: Tensor
    occlusion: Tensor


class Encoder3d(nn.Module):
    """Features of every size, the given ones first."""

    def __init__(self, channels: int, widths: list[int]) -> None:
        super().__init__()
        ends = [channels, *widths[1:]]
        self.down_blocks = nn.ModuleList(DownBlock3d(a, b) for a, b in pairwise(ends))

    def forward(self, x: Tensor) -> list[Tensor]:
        found = [x]
        for block in self.down_blocks:
            found.append(block(found[-1]))
        return found


class Decoder3d(nn.Module):
    """Back up, each size beside what the encoder saw there."""

    def __init__(self, channels: int, widths: list[int]) -> None:
        super().__init__()
        deepest = len(widths) - 1
        self.up_blocks = nn.ModuleList(
            UpBlock3d(widths[level] * (1 if level == deepest else 2), widths[level - 1])
            for level in range(deepest, 0, -1)
        )
        self.made = widths[0] + channels
        self.conv = nn.Conv3d(self.made, self.made, 3, padding=1)
        self.norm = nn.BatchNorm3d(self.made)

    def forward(self, found: list[Tensor]) -> Tensor:
        x = found[-1]
        for block, beside in zip(self.up_blocks, reversed(found[:-1]), strict=True):
            x = torch.cat((block(x), beside), dim=1)
        return functional.relu(self.norm(self.conv(x)))


class Hourglass3d(nn.Module):
    """`levels` halvings in the plane and back; depth stays."""

    def __init__(self, channels: int, width: int, most: int, levels: int) -> None:
        super().__init__()
        widths = [min(most, width * 2**level) for level in range(levels + 1)]
        self.encoder = Encoder3d(channels, widths)
        self.decoder = Decoder3d(channels, widths)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.decoder(self.encoder(x))
        return made


class MotionFieldNetwork(nn.Module):
    """Features (B, C, D, H, W) and keypoints (B, K, 3) of source and driving to a `MotionField`."""

    def __init__(self, config: FaceVid2VidNetworkConfig) -> None:
        super().__init__()
        parts = config.keypoints + 1
        self.hourglass = Hourglass3d(
            parts * (config.motion_compressed + 1), config.motion_width, config.motion_max_width, config.motion_levels
        )
        made = self.hourglass.decoder.made
        self.mask = nn.Conv3d(made, parts, 7, padding=3)
        self.compress = nn.Conv3d(config.volume_channels, config.motion_compressed, 1)
        self.norm = nn.BatchNorm3d(config.motion_compressed)
        self.occlusion = nn.Conv2d(made * config.volume_depth, 1, 7, padding=3)

    def forward(self, volume: Tensor, source: Tensor, driving: Tensor) -> MotionField:
        compressed = functional.relu(self.norm(self.compress(volume)))
        size = (volume.shape[2], volume.shape[3], volume.shape[4])
        source, driving = at_least_single(source), at_least_single(driving)
        fields = sparse_fields(source, driving, size)
        seen = self.hourglass(self._tried_out(compressed, fields, _blobs(source, driving, size).to(volume.dtype)))
        masks = torch.softmax(self.mask(seen), dim=1)
        # No product of matrices: autocast would make it one of half precision.
        field = (at_least_single(masks).unsqueeze(-1) * fields).sum(dim=1)
        occlusion = torch.sigmoid(self.occlusion(seen.flatten(1, 2)))
        return MotionField(field, masks, occlusion)

    def _tried_out(self, features: Tensor, fields: Tensor, blobs: Tensor) -> Tensor:
        """Per keypoint its blob and the features as its motion alone would move them: (B, (K + 1)(1 + C), D, H, W)."""
        batch, parts = fields.shape[:2]
        repeated = features.unsqueeze(1).expand(-1, parts, -1, -1, -1, -1).flatten(0, 1)
        moved = functional.grid_sample(repeated, fields.flatten(0, 1).to(features.dtype), align_corners=False)
        moved = moved.view(batch, parts, *moved.shape[1:])
        return torch.cat((blobs.unsqueeze(2), moved), dim=2).flatten(1, 2)


def sparse_fields(source: Tensor, driving: Tensor, size: tuple[int, int, int]) -> Tensor:
    """(B, K + 1, D, H, W, 3): field k sends p to p - driving_k + source_k, the first sends it to itself."""
    grid = coordinate_grid(size, source)[None, None]
    moved = grid + (source - driving)[:, :, None, None, None, :]
    return torch.cat((grid.expand(len(source), -1, -1, -1, -1, -1), moved), dim=1)


def _blobs(source: Tensor, driving: Tensor, size: tuple[int, int, int]) -> Tensor:
    """(B, K + 1, D, H, W): a blob where each keypoint is less one where it was; zero for the part that stays."""
    grid = coordinate_grid(size, source)
    change = _blob(driving, grid) - _blob(source, grid)
    return torch.cat((torch.zeros_like(change[:, :1]), change), dim=1)


def _blob(keypoints: Tensor, grid: Tensor) -> Tensor:
    away = grid - keypoints[:, :, None, None, None, :]
    return torch.exp(-0.5 * away.square().sum(-1) / _SPREAD)
