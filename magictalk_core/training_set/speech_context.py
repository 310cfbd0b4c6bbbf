"""The speech around a frame: what a network hears of a moment before and after it."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["speech_around"]


def speech_around(features: Tensor, frames: Tensor, low: Tensor, high: Tensor, width: int) -> Tensor:
    """The `width` features centred on each frame, the nearest repeated at the ends of its stretch.

    features (L, F); frames (B, N) indices into it, also outside of the stretch; low, high (B,) bounds [low, high) of
    the stretch that each row may see -> (B, N, width, F). An even width has one frame more after than before.
    """
    places = frames[:, :, None] + torch.arange(width) - (width - 1) // 2
    places = torch.minimum(torch.maximum(places, low[:, None, None]), high[:, None, None] - 1)
    return features[places]
