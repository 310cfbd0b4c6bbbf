"""Methods that know nothing of the speech, so that a table shows what a score is worth.

`mean_motion` holds the mean of the training motion in every frame. It has no blinks, no jumps and no correlation, and
its coefficient errors are hard to beat on short clips of a quiet speaker: that is exactly what a reader must see.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.faces.arkit import MOTION_NAMES
from magictalk_core.metrics.motion import as_motion

__all__ = ["MEAN_MOTION", "constant_motion", "mean_motion"]

MEAN_MOTION = "mean_motion"
"""The method name of this baseline in the scores."""


def mean_motion(motions: Iterable[NDArray[Any]]) -> NDArray[np.float32]:
    """The mean of every channel over all measured frames of the training clips, shape (58,).

    Takes motions of shape (frames, 58) one after the other, so a corpus need not fit in memory. A channel that no clip
    measures is NaN. Raises `PermanentError` when there is no frame at all.
    """
    total = np.zeros(len(MOTION_NAMES))
    count = np.zeros(len(MOTION_NAMES), dtype=np.int64)
    for motion in motions:
        values = as_motion(motion)
        total += np.nansum(values, axis=0)
        count += np.isfinite(values).sum(axis=0)
    if not count.any():
        raise PermanentError("the mean-motion baseline needs training clips with a tracked face; found none")
    mean = np.full(len(MOTION_NAMES), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.astype(np.float32)


def constant_motion(row: NDArray[Any], n_frames: int) -> NDArray[np.float32]:
    """`row` of shape (58,) held for `n_frames` frames: shape (n_frames, 58)."""
    return np.repeat(np.asarray(row, dtype=np.float32)[None, :], n_frames, axis=0)
