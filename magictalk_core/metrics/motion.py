"""What every metric asks of its input: two motions of one shape, NaN where a value was not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.vocabulary.arkit import MOTION_NAMES

__all__ = ["Measure", "Motion", "as_motion", "columns", "paired"]

Motion = NDArray[np.float64]
"""Motion of shape (frames, 58), columns in `MOTION_NAMES` order, NaN where nothing was measured."""

_COLUMN = {name: index for index, name in enumerate(MOTION_NAMES)}


@dataclass(frozen=True)
class Measure:
    """A value and the channels it was computed over. `value` is None when nothing could be compared."""

    value: float | None
    channels: tuple[str, ...]


def columns(names: Sequence[str]) -> list[int]:
    """The column of each name in a motion."""
    return [_COLUMN[name] for name in names]


def as_motion(values: NDArray[Any], what: str = "motion") -> Motion:
    """`values` as float64 of shape (frames, 58). Raises `PermanentError` on another shape or on infinities."""
    motion = np.asarray(values, dtype=np.float64)
    if motion.ndim != 2 or motion.shape[1] != len(MOTION_NAMES):
        raise PermanentError(f"{what}: expected shape (frames, {len(MOTION_NAMES)}), found {motion.shape}")
    if np.isinf(motion).any():
        raise PermanentError(f"{what}: holds infinite values; expected finite numbers, or NaN where not measured")
    return motion


def paired(truth: NDArray[Any], generated: NDArray[Any]) -> tuple[Motion, Motion]:
    """Both motions checked and with NaN in both wherever one of them has NaN, so that only measured pairs count.

    Raises `PermanentError` when the number of frames differs: nothing is stretched or cut silently.
    """
    first, second = as_motion(truth, "true motion"), as_motion(generated, "generated motion")
    if len(first) != len(second):
        raise PermanentError(
            f"true motion has {len(first)} frames, generated motion {len(second)}: expected the same number; "
            "generate with the speech features of the same clip"
        )
    missing = np.isnan(first) | np.isnan(second)
    return np.where(missing, np.nan, first), np.where(missing, np.nan, second)
