"""Methods that know nothing of the speech, so that a table shows what a score is worth.

`mean_motion` holds the mean of the training motion in every frame. It has no blinks, no jumps and no correlation, and
its coefficient errors are hard to beat on short clips of a quiet speaker: that is exactly what a reader must see.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MEAN_MOTION", "constant_motion"]

MEAN_MOTION = "mean_motion"
"""The method name of this baseline in the scores."""


def constant_motion(row: NDArray[Any], n_frames: int) -> NDArray[np.float32]:
    """`row` of shape (D,) held for `n_frames` frames: shape (n_frames, D)."""
    return np.repeat(np.asarray(row, dtype=np.float32)[None, :], n_frames, axis=0)
