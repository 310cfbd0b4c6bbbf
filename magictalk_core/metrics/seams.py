"""Does the motion jump where one generated window ends and the next begins?

Algorithm 1 advances by `window - 1` frames, so consecutive windows share the frames `k * (window - 1)`. An
implementation may keep the shared frame of the old or of the new window: the jump then shows in the difference after
it or before it. Both count, for shared frames and for all others alike, so smooth motion gives about 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.metrics.motion import as_motion, columns
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["first_step_ratio", "joint_frames", "pooled_seam_ratio", "seam_ratio"]

_MIN_STEP = 1e-9
_FIRST_STEPS = 3


def joint_frames(n_frames: int, window: int) -> NDArray[np.int64]:
    """The frames that two windows share: multiples of `window - 1` with a neighbour on both sides."""
    if window < 3:
        raise PermanentError(f"a window has at least 3 frames, found {window}")
    return np.arange(window - 1, n_frames - 1, window - 1, dtype=np.int64)


def seam_ratio(motion: NDArray[Any], window: int) -> float | None:
    """Median step at the shared frames over the median step inside the windows; about 1 when no joint is visible.

    The step of a frame is the mean of the Euclidean norms of the differences to its two neighbours, over the
    coefficients that the clip measures at all; a frame with a gap in one of them drops out with its neighbours. None
    when the clip has no joint or does not move. A short clip has one joint: its ratio says little, of real motion too.
    """
    return pooled_seam_ratio([motion], window)


def pooled_seam_ratio(motions: Sequence[NDArray[Any]], window: int, names: Sequence[str] = ARKIT_NAMES) -> float | None:
    """The same over the joints of several motions (frames, 58) together: of real clips what no seam looks like.

    `names`: the channels whose steps are taken, all of one unit.
    """
    steps = [_steps(motion, window, names) for motion in motions]
    at_joints = np.concatenate([joints for joints, _ in steps]) if steps else np.zeros(0)
    within = np.concatenate([inside for _, inside in steps]) if steps else np.zeros(0)
    if len(at_joints) == 0 or len(within) == 0 or np.median(within) < _MIN_STEP:
        return None
    return float(np.median(at_joints) / np.median(within))


def first_step_ratio(motions: Sequence[NDArray[Any]], names: Sequence[str] = ARKIT_NAMES) -> float | None:
    """Median over motions (frames, 58) of the largest of the first three steps, over the median of the largest of any
    three steps in a row: about 1 when nothing pops at the beginning.

    Steps are Euclidean norms over the channels `names` that a motion measures at all. None where nothing moves.
    """
    first, others = [], []
    for motion in motions:
        norms = _norms(as_motion(motion)[:, columns(names)])
        if len(norms) < 2 * _FIRST_STEPS or not np.isfinite(norms[:_FIRST_STEPS]).all():
            continue
        largest = np.lib.stride_tricks.sliding_window_view(norms, _FIRST_STEPS).max(axis=1)
        first.append(largest[0])
        others.append(largest[_FIRST_STEPS:])
    usual = np.concatenate(others) if others else np.zeros(0)
    usual = usual[np.isfinite(usual)]
    if not len(usual) or np.median(usual) < _MIN_STEP:
        return None
    return float(np.median(first) / np.median(usual))


def _norms(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(frames - 1,) step from every frame to the next over the columns that hold a value."""
    measured = values[:, np.isfinite(values).any(axis=0)]
    return np.asarray(np.linalg.norm(np.diff(measured, axis=0), axis=1))


def _steps(motion: NDArray[Any], window: int, names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(at the joints, inside the windows)."""
    nothing = np.zeros(0)
    values = as_motion(motion)[:, columns(names)]
    values = values[:, np.isfinite(values).any(axis=0)]
    joints = joint_frames(len(values), window)
    if len(joints) == 0 or values.shape[1] == 0:
        return nothing, nothing
    norms = _norms(values)
    steps = (norms[:-1] + norms[1:]) / 2  # steps[i] belongs to frame i + 1
    inside = np.ones(len(steps), dtype=bool)
    for offset in (-1, 0, 1):  # the neighbours of a joint see its jump with one of their two differences
        touched = joints - 1 + offset
        inside[touched[(touched >= 0) & (touched < len(steps))]] = False
    at_joints, within = steps[joints - 1], steps[inside]
    return at_joints[np.isfinite(at_joints)], within[np.isfinite(within)]
