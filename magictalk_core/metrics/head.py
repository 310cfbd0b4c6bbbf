"""How a head moves, whichever way it turns: a generated head need not turn as the real one, but like one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.metrics.motion import as_motion, columns
from magictalk_core.vocabulary.arkit import POSE_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["FAST_HZ", "head_statistics"]

FAST_HZ = 4.0
"""A head that nods and turns has nearly all of its energy below; above is trembling, of a tracker or a model."""

_LEAST_FRAMES = 25
_STILL_DEG = 1e-3


def head_statistics(motion: NDArray[Any]) -> dict[str, float | None]:
    """Of the three rotations of a motion (frames, 58), each value the mean over them; degrees and seconds.

    `std_deg` about the clip's mean; `speed_deg_s` mean absolute; `fast_share` of the energy of the movement at
    `FAST_HZ` and above, 0 to 1 (Hann window); `step_autocorrelation` of one step with the next, -1 to 1: near 1 for
    smooth movement, below 0 for trembling. None for less than a second; shares and correlations None for a still head.
    """
    turns = as_motion(motion)[:, columns(POSE_NAMES[:3])]
    turns = turns[np.isfinite(turns).all(axis=1)]
    names = ("std_deg", "speed_deg_s", "fast_share", "step_autocorrelation")
    if len(turns) < _LEAST_FRAMES:
        return dict.fromkeys(names)
    steps = np.diff(turns, axis=0)
    values: list[float | None] = [float(turns.std(axis=0).mean()), float(np.abs(steps).mean() * FRAME_RATE)]
    if turns.std(axis=0).max() < _STILL_DEG:
        return dict(zip(names, [*values, None, None], strict=True))
    moved = turns - turns.mean(axis=0)
    energy = np.abs(np.fft.rfft(moved * np.hanning(len(moved))[:, None], axis=0)) ** 2
    fast = np.fft.rfftfreq(len(moved), 1 / FRAME_RATE) >= FAST_HZ
    moving = turns.std(axis=0) >= _STILL_DEG
    share = (energy[fast].sum(axis=0) / energy.sum(axis=0).clip(1e-30))[moving].mean()
    swing = steps - steps.mean(axis=0)
    again = ((swing[1:] * swing[:-1]).sum(axis=0) / (swing**2).sum(axis=0).clip(1e-30))[moving].mean()
    return dict(zip(names, [*values, float(share), float(again)], strict=True))
