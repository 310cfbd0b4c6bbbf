"""Stretches of frames without a gap, and short gaps bridged."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_GAP", "bridged", "longest_measured", "stretches"]

MAX_GAP = 5
"""Frames without a face that are bridged by interpolation: 0.2 s, a blink of the tracker, not a turned head."""


def stretches(usable: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """[start, end) of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], usable, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def longest_measured(values: NDArray[Any]) -> slice:
    """The longest stretch of rows without NaN; empty when every row has one."""
    found = stretches(np.asarray(np.isfinite(values).all(axis=1)))
    return slice(*max(found, key=lambda span: span[1] - span[0])) if found else slice(0, 0)


def bridged(motion: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Interpolate gaps of at most MAX_GAP lost frames; returns the motion and which frames are usable."""
    usable: NDArray[np.bool_] = np.asarray(np.isfinite(motion).all(axis=1))
    filled = motion.copy()
    if not usable.any():
        return filled, usable
    for left, right in pairwise(np.flatnonzero(usable)):
        gap = right - left - 1
        if 0 < gap <= MAX_GAP:
            weight = np.linspace(0, 1, gap + 2, dtype=np.float32)[1:-1, None]
            filled[left + 1 : right] = (1 - weight) * motion[left] + weight * motion[right]
            usable[left + 1 : right] = True
    return filled, usable
