"""Beat alignment: does the mouth open when the real one does?

A beat is a local maximum of the speed at which the jaw opens or closes (the absolute change of jawOpen), above the
clip's mean speed. The score of a generated beat is exp(-d^2 / (2 s^2)) with d the distance to the nearest beat of the
real motion, s = 3 frames; the value is the mean over the generated beats. Two mouths that have nothing to do with each
other score about 0.85, since a talking mouth has a beat every few frames: read it beside the row `chance`.

This is not the beat consistency of SAiD (yunik1004/SAiD, said/metric/beat_consistency.py), after which it was made.
There the beats of a motion are its pauses (local minima of the mean change of all coefficients, each over its mean
absolute change), they are compared with the onsets of the sound (librosa), the mean is over the sound's beats, and
s = 0.1 s; SAiD follows AI Choreographer (Li et al. 2021). Coming early or late counts there as here; moving too often
costs nothing there, and moving too seldom nothing here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.metrics.motion import columns, paired

__all__ = ["beat_alignment", "mouth_beats"]

SIGMA = 3.0
"""Frames: 0.12 s."""


def mouth_beats(motion: NDArray[Any]) -> NDArray[np.int64]:
    """Frames at which the mouth opens or closes fastest, of a motion (frames, 58)."""
    jaw = np.asarray(motion, np.float64)[:, columns(("jawOpen",))[0]]
    speed = np.abs(np.diff(np.where(np.isfinite(jaw), jaw, 0.0)))
    if len(speed) < 3 or speed.max() < 1e-6:
        return np.zeros(0, np.int64)
    inner = (speed[1:-1] > speed[:-2]) & (speed[1:-1] >= speed[2:]) & (speed[1:-1] > speed.mean())
    return np.flatnonzero(inner) + 1


def beat_alignment(truth: NDArray[Any], generated: NDArray[Any]) -> float | None:
    """From 0 to 1; 1 when every beat of `generated` is one of `truth`. None when one of them has no beat."""
    real, made = (mouth_beats(motion) for motion in paired(truth, generated))
    if not len(real) or not len(made):
        return None
    distance = np.abs(made[:, None] - real[None]).min(axis=1)
    return float(np.exp(-(distance**2) / (2 * SIGMA**2)).mean())
