"""The condition matrix of Algorithm 1: initial state at frame 0, three style frames in the middle, an indicator bit."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["STYLE_FRAMES", "condition_matrix", "style_positions"]

STYLE_FRAMES = 3


def style_positions(window: int) -> tuple[int, int, int]:
    """Frames N/2-1, N/2, N/2+1: 15, 16, 17 for the paper's N = 32."""
    middle = window // 2
    return middle - 1, middle, middle + 1


def condition_matrix(initial: Tensor, style: Tensor, window: int) -> Tensor:
    """initial (B, D) and style (B, 3, D), both normalised -> (B, window, D + 1); the last column is the bit."""
    batch, size = initial.shape
    matrix = initial.new_zeros(batch, window, size + 1)
    matrix[:, 0, :-1] = initial
    matrix[:, 0, -1] = 1
    positions = list(style_positions(window))
    matrix[:, positions, :-1] = style
    matrix[:, positions, -1] = 1
    return matrix


def draw_style(frames: Tensor, batch: int, generator: torch.Generator) -> Tensor:
    """`batch` times three random frames of a style clip: frames (k, D) -> (batch, 3, D)."""
    picks = torch.randint(len(frames), (batch, STYLE_FRAMES), generator=generator)
    return frames[picks]
