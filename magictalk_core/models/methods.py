"""Names of the methods that perform, and their motion as everybody takes it; light, for whoever makes a single file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from magictalk_core.vocabulary.arkit import MOTION_NAMES

__all__ = ["EMODIFF", "MAGICTALK", "to_motion"]

EMODIFF = "emodiff"
MAGICTALK = "magictalk"
"""EmoDiff and lip refinement: the method of the paper."""


def to_motion(state: NDArray[np.float32], channels: Sequence[str]) -> NDArray[np.float32]:
    """(n, D) in the model's channels to (n, 58) in MOTION_NAMES order; channels the model lacks are NaN."""
    motion = np.full((len(state), len(MOTION_NAMES)), np.nan, np.float32)
    motion[:, [MOTION_NAMES.index(c) for c in channels]] = state
    return motion
