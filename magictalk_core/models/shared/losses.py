"""What both lip networks minimise: the error of the mouth and of its motion."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["motion_errors"]


def motion_errors(found: Tensor, wanted: Tensor, velocity_weight: float, level_counts: Tensor | None = None) -> Tensor:
    """(B, N, M) mouths -> (B,) mean absolute error, and that of first differences times its weight.

    Of rows that are False in `level_counts` (B,) a constant offset per channel is forgiven.
    """
    error = found - wanted
    if level_counts is not None:
        error = torch.where(level_counts[:, None, None], error, error - error.mean(dim=1, keepdim=True))
    position = error.abs().mean(dim=(1, 2))
    velocity = (found.diff(dim=1) - wanted.diff(dim=1)).abs().mean(dim=(1, 2))
    return position + velocity_weight * velocity
