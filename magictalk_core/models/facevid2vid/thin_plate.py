"""Random smooth warps of pictures, known exactly: what keypoints must follow (equivariance)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Warp", "draw_warps"]

_TINY = 1e-6


@dataclass(frozen=True)
class Warp:
    """Affine maps and thin-plate splines of the plane, one per row: from a place of the warped picture to its origin.

    `affine` (B, 2, 3); `centres` (M, 2) of the splines; `bends` (B, M, 2), how much each centre bends x and y. Places
    are x, y in -1..1, the outermost pixels at -1 and 1.
    """

    affine: Tensor
    centres: Tensor
    bends: Tensor

    def places(self, at: Tensor) -> Tensor:
        """Where the places `at` (B, N, 2) of the warped pictures lie in the pictures themselves."""
        away = (at.unsqueeze(2) - self.centres).square().sum(-1)
        # r^2 log r; of the squared distance, so that the root and its slope at 0 are never needed.
        spline = away * torch.log(away + _TINY**2) / 2
        moved = at @ self.affine[:, :, :2].transpose(1, 2) + self.affine[:, None, :, 2]
        return moved + spline @ self.bends

    def pictures(self, of: Tensor) -> Tensor:
        """(B, C, H, W): the pictures, warped; mirrored where the warp reaches beyond their edge."""
        height, width = of.shape[2:]
        y, x = torch.meshgrid(
            torch.linspace(-1, 1, height, device=of.device),
            torch.linspace(-1, 1, width, device=of.device),
            indexing="ij",
        )
        grid = torch.stack((x, y), dim=-1).reshape(1, -1, 2).expand(len(of), -1, -1)
        found = self.places(grid).reshape(len(of), height, width, 2)
        return functional.grid_sample(of, found, padding_mode="reflection", align_corners=True)

    def rows(self, first: int, every: int) -> Warp:
        """Those of the rows `first::every`."""
        return Warp(self.affine[first::every], self.centres, self.bends[first::every])

    def to(self, device: torch.device) -> Warp:
        return Warp(self.affine.to(device), self.centres.to(device), self.bends.to(device))


def draw_warps(rng: np.random.Generator, count: int, affine: float, bend: float, points: int) -> Warp:
    """`count` warps: the identity with normal noise of `affine` in its six numbers, and `points` x `points` splines
    whose strengths have the deviation `bend`. Source: the first-order model's `Transform`, which measures distances by
    their absolute values and bends x and y alike."""
    noise = rng.normal(0, affine, (count, 2, 3)) + np.eye(2, 3)
    line = np.linspace(-1, 1, points)
    centres = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    bends = rng.normal(0, bend, (count, points**2, 2))
    return Warp(*(torch.from_numpy(values.astype(np.float32)) for values in (noise, centres, bends)))
