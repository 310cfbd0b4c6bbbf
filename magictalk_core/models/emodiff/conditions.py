"""What one window is conditioned on: the matrix c of Algorithm 1, and the speech of every frame.

c is zero but for frame 0, the initial state, and the three middle frames, the style; its last column is a bit that
says which frames are given.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["STYLE_FRAMES", "condition_matrix", "draw_style", "style_positions"]

STYLE_FRAMES = 3


def style_positions(window: int) -> tuple[int, int, int]:
    """Frames N/2-1, N/2, N/2+1: 15, 16, 17 for the paper's N = 32."""
    middle = window // 2
    return middle - 1, middle, middle + 1


def condition_matrix(initial: Tensor, style: Tensor | None, window: int) -> Tensor:
    """initial (B, D) and style (B, 3, D), both normalised -> (B, window, D + 1); the last column is the bit.

    Without `style` only the initial state is given: the ablation in which every emotion has the same code.
    """
    batch, size = initial.shape
    matrix = initial.new_zeros(batch, window, size + 1)
    matrix[:, 0, :-1] = initial
    matrix[:, 0, -1] = 1
    if style is not None:
        positions = list(style_positions(window))
        matrix[:, positions, :-1] = style
        matrix[:, positions, -1] = 1
    return matrix


def draw_style(frames: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` random frames of a style clip, with replacement: frames (k, D) -> (count, D)."""
    return frames[torch.randint(len(frames), (count,), generator=generator)]
