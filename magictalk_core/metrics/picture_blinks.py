"""Blinks in pictures, from how far the eyes are open: for any video, whoever made it.

The threshold is relative to the clip's own open eye, as eyes and detectors differ; a blink lasts 2 to 10 frames at 25
per second (80 to 400 ms), as in `metrics/blinks.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["blinks_per_minute", "count_blinks"]

_OPEN_QUANTILE, _SHUT_SHARE = 0.8, 0.5
_SHORTEST, _LONGEST = 2, 10
_LEAST_FRAMES = 25


def count_blinks(openness: NDArray[Any]) -> int:
    """Runs of 2 to 10 frames in which the eyes are less than half as open as usual. openness: (n,), any unit, NaN where
    no eye was seen."""
    known = openness[np.isfinite(openness)]
    if not len(known):
        return 0
    usual = np.quantile(known, _OPEN_QUANTILE)
    shut = np.nan_to_num(openness, nan=np.inf) < _SHUT_SHARE * usual
    edges = np.flatnonzero(np.diff(np.r_[False, shut, False].astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return int(((lengths >= _SHORTEST) & (lengths <= _LONGEST)).sum())


def blinks_per_minute(openness: NDArray[Any], fps: float) -> float | None:
    """Blinks over the time in which eyes were seen; None for less than a second of it."""
    seen = int(np.isfinite(openness).sum())
    return None if seen < _LEAST_FRAMES else count_blinks(openness) * 60 * fps / seen
