"""Errors and correlations of the coefficients themselves, by group of channels.

Channels that one side does not measure in any frame are left out, and the result names the channels that remained:
an error over 27 mouth channels and one over 3 are different numbers. Every remaining channel has the same weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.metrics.motion import Measure, Motion, columns, paired
from magictalk_core.vocabulary.arkit import GROUPS, JAW_MOUTH_NAMES, POSE_NAMES

__all__ = [
    "ERROR_GROUPS",
    "channel_correlation",
    "group_error",
    "level_free_error",
    "mean_correlation",
    "velocity_error",
]

ERROR_GROUPS: dict[str, tuple[str, ...]] = {
    **{name: channels for name, channels in GROUPS.items() if name != "pose"},
    "head_rotation": POSE_NAMES[:3],
    "head_translation": POSE_NAMES[3:],
}
"""Channel groups an error is reported for. The head pose is split: degrees and centimetres do not mix."""

_MIN_PAIRS = 3
_MIN_STD = 1e-6


def _mean_difference(first: Motion, second: Motion, names: Sequence[str]) -> Measure:
    difference = np.abs(first - second)[:, columns(names)]
    counts = np.isfinite(difference).sum(axis=0)
    seen = counts > 0
    if not seen.any():
        return Measure(None, ())
    per_channel = np.nansum(difference[:, seen], axis=0) / counts[seen]
    return Measure(float(per_channel.mean()), tuple(name for name, kept in zip(names, seen, strict=True) if kept))


def group_error(truth: NDArray[Any], generated: NDArray[Any]) -> dict[str, Measure]:
    """Mean absolute error of each group in `ERROR_GROUPS`; unit 1 (coefficients), degrees or centimetres.

    Both motions have shape (frames, 58); frames and channels with NaN on either side do not count.
    """
    first, second = paired(truth, generated)
    return {group: _mean_difference(first, second, names) for group, names in ERROR_GROUPS.items()}


def level_free_error(truth: NDArray[Any], generated: NDArray[Any]) -> dict[str, Measure]:
    """`group_error` of what moves: of each channel its mean over the clip is taken off on either side.

    A style clip gives away how a face stands. What is left is what was said: 0 only for a motion in step with it.
    """
    first, second = paired(truth, generated)
    return {g: _mean_difference(_moved(first), _moved(second), names) for g, names in ERROR_GROUPS.items()}


def _moved(motion: Motion) -> Motion:
    counts = np.isfinite(motion).sum(axis=0)
    return np.asarray(motion - np.nansum(motion, axis=0) / np.maximum(counts, 1))


def velocity_error(truth: NDArray[Any], generated: NDArray[Any]) -> dict[str, Measure]:
    """Mean absolute error of the first differences of each group, per frame.

    It sees jitter and frozen channels that the plain error hides. Shapes and units as in `group_error`, per frame.
    """
    first, second = paired(truth, generated)
    steps = np.diff(first, axis=0), np.diff(second, axis=0)
    return {group: _mean_difference(*steps, names) for group, names in ERROR_GROUPS.items()}


def _pearson(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    both = np.isfinite(first)
    first, second = first[both], second[both]
    # A channel that never moves has no direction to agree with: the correlation does not exist, it is not 0.
    if len(first) < _MIN_PAIRS or first.std() < _MIN_STD or second.std() < _MIN_STD:
        return None
    centred = first - first.mean(), second - second.mean()
    scale = np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())
    return float(np.clip((centred[0] * centred[1]).sum() / scale, -1.0, 1.0))


def channel_correlation(truth: NDArray[Any], generated: NDArray[Any], name: str) -> float | None:
    """Pearson correlation over time of the motion channel `name`, e.g. `jawOpen`.

    None where fewer than 3 frames are measured on both sides or where one side does not move.
    """
    first, second = paired(truth, generated)
    (column,) = columns((name,))
    return _pearson(first[:, column], second[:, column])


def mean_correlation(truth: NDArray[Any], generated: NDArray[Any], names: Sequence[str] = JAW_MOUTH_NAMES) -> Measure:
    """Mean Pearson correlation over the channels of `names` that have one."""
    first, second = paired(truth, generated)
    found = {name: _pearson(first[:, i], second[:, i]) for name, i in zip(names, columns(names), strict=True)}
    kept = {name: value for name, value in found.items() if value is not None}
    return Measure(float(np.mean(list(kept.values()))) if kept else None, tuple(kept))
