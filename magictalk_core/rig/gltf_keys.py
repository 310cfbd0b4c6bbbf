"""Keys of a glTF animation at any time: steps, lines, cubic splines and turns, as the specification interpolates them.

Before the first key its value holds and after the last one the last, as glTF 2.0 demands of every player.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

__all__ = ["Keys", "sample_keys", "sample_turns"]


@dataclass(frozen=True, eq=False)
class Keys:
    """`times` (k,) seconds, ascending; `values` (k, n), or (k, 3, n) of tangent in, value and tangent out where
    `interpolation` is CUBICSPLINE."""

    times: NDArray[np.float64]
    values: NDArray[np.float32]
    interpolation: str

    def __post_init__(self) -> None:
        if self.interpolation not in ("STEP", "LINEAR", "CUBICSPLINE"):
            raise ValueError(f"keys of interpolation {self.interpolation}: expected STEP, LINEAR or CUBICSPLINE")
        if (np.diff(self.times) < 0).any():
            raise ValueError("keys go back in time")

    @property
    def plain(self) -> NDArray[np.float32]:
        """(k, n) values at the keys."""
        return self.values[:, 1] if self.interpolation == "CUBICSPLINE" else self.values


def _intervals(keys: Keys, at: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of every time the key before it and the share of the way to the next one, 0 to 1."""
    before = np.clip(np.searchsorted(keys.times, at, side="right") - 1, 0, max(len(keys.times) - 2, 0))
    after = np.minimum(before + 1, len(keys.times) - 1)
    length = keys.times[after] - keys.times[before]
    share = np.divide(at - keys.times[before], length, out=np.zeros_like(at), where=length > 0)
    return before, np.clip(share, 0.0, 1.0)


def sample_keys(keys: Keys, at: NDArray[np.float64]) -> NDArray[np.float32]:
    """(m, n) values at the times `at` (m,), seconds."""
    if keys.interpolation == "STEP" or len(keys.times) == 1:
        # A key's time is stored in single precision, which may lie behind the frame that it is meant for.
        near = np.asarray(at + 2 * np.spacing(np.asarray(at, np.float32)), np.float64)
        before = np.maximum(np.searchsorted(keys.times, near, side="right") - 1, 0)
        return keys.plain[before]
    before, share = _intervals(keys, at)
    after, t = before + 1, share[:, None]
    start, end = keys.plain[before], keys.plain[after]
    if keys.interpolation == "LINEAR":
        return np.asarray(start + (end - start) * t, np.float32)
    length = (keys.times[after] - keys.times[before])[:, None]
    leave, arrive = keys.values[before, 2] * length, keys.values[after, 0] * length
    square, cube = t * t, t * t * t
    return np.asarray(
        (2 * cube - 3 * square + 1) * start
        + (cube - 2 * square + t) * leave
        + (3 * square - 2 * cube) * end
        + (cube - square) * arrive,
        np.float32,
    )


def sample_turns(keys: Keys, at: NDArray[np.float64]) -> Rotation:
    """Rotations at the times `at` (m,) of quaternions (k, 4) x, y, z, w. Raises `ValueError` for one of length 0."""
    if keys.interpolation != "LINEAR" or len(keys.times) == 1:
        return Rotation.from_quat(sample_keys(keys, at).astype(np.float64))
    times, first = np.unique(keys.times, return_index=True)
    turns = Rotation.from_quat(keys.plain[first].astype(np.float64))
    if len(times) == 1:
        return turns[np.zeros(len(at), int)]
    return Slerp(times, turns)(np.clip(at, times[0], times[-1]))
