"""From evidence at every shift to the offset that is believed, and how much."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["OffsetBelief", "believed"]

Values = NDArray[np.float64]

_IN_SYNC, _SPREAD = 0.6, 1.5
"""What is known of a clip before it is seen: six of ten are in sync, give or take a frame and a half, and the others
off by anything. Of real files about a third have late sound."""
_NEAR = 2
"""Frames around the offset that count for the same: as far apart as one would let a clip pass."""


@dataclass(frozen=True)
class OffsetBelief:
    """`offset` in frames, positive when the mouth is later than the sound; `confidence`: the probability, 0 to 1, that
    the true one is within two frames of it; `correlation` of what is heard with what is seen there."""

    offset: int
    confidence: float
    correlation: float


def believed(correlation: Values, frames: Values, sharpness: float) -> OffsetBelief:
    """correlation (2n + 1,) at the shifts -n to n, NaN where it is unknown; `frames` that it was found in, each of
    which gives evidence of `sharpness` natural logarithms at a correlation of 1."""
    probability = _posterior(correlation, frames, sharpness)
    middle = len(probability) // 2
    # A peak between two frames is split among them.
    smooth = np.convolve(probability, (0.5, 1.0, 0.5), "same")
    best = int(np.argmax(np.where(np.isnan(correlation), -1.0, smooth)))
    near = probability[max(0, best - _NEAR) : best + _NEAR + 1].sum()
    return OffsetBelief(best - middle, float(near), float(correlation[best]))


def _posterior(correlation: Values, frames: Values, sharpness: float) -> Values:
    shifts = np.arange(len(correlation)) - len(correlation) // 2
    bell = np.exp(-0.5 * (shifts / _SPREAD) ** 2)
    prior = _IN_SYNC * bell / bell.sum() + (1 - _IN_SYNC) / len(shifts)
    logarithm = np.where(np.isnan(correlation), -np.inf, sharpness * frames * correlation + np.log(prior))
    found = np.exp(logarithm - logarithm.max())
    return np.asarray(found / found.sum())
