"""Where the lips are: how far apart, and how low the lower one is, on the rig's face without its head pose.

Both are linear in the coefficients: the rig's vertices are. So they see a mouth that closes by a pressed lip under an
open jaw, which jawOpen alone does not.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.metrics.motion import as_motion, columns
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["LipRig", "Lips", "lips_of"]

_UPPER, _LOWER = (81, 82, 13, 312, 311), (178, 87, 14, 317, 402)
"""The middle of the inner rim of either lip, in the face mesh; those of one place stand over each other."""

Values = NDArray[np.float64]


class LipRig(Protocol):
    """What is needed of a rig: neutral vertices (v, 3) and shapes (52, v, 3) in cm, the face mesh first."""

    @property
    def neutral(self) -> NDArray[np.float32]: ...

    @property
    def deltas(self) -> NDArray[np.float32]: ...


class Lips:
    """`gap` (frames,): cm between the inner rims, below 0 where pressed; `drop` (frames,): cm of the lower lip below
    its rest. NaN in frames without a measured coefficient."""

    def __init__(self, gap: Values, drop: Values) -> None:
        self.gap, self.drop = gap, drop


def lips_of(motion: NDArray[Any], rig: LipRig) -> Lips:
    """Of a motion (frames, 58); a channel that was not measured rests."""
    if len(rig.neutral) <= max(*_UPPER, *_LOWER):
        raise PermanentError(f"the rig has {len(rig.neutral)} vertices: expected those of the face mesh first")
    coefficients = as_motion(motion)[:, columns(ARKIT_NAMES)]
    seen = np.isfinite(coefficients).any(axis=1)
    weights = np.nan_to_num(coefficients)
    heights = {
        part: (rig.neutral[list(part), 1].astype(np.float64), rig.deltas[:, list(part), 1].astype(np.float64))
        for part in (_UPPER, _LOWER)
    }
    upper, lower = (rest.mean() + weights @ moves.mean(axis=1) for rest, moves in heights.values())
    rest = heights[_LOWER][0].mean()
    return Lips(np.where(seen, upper - lower, np.nan), np.where(seen, rest - lower, np.nan))
