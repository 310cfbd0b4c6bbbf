"""How much a mean depends on which clips were drawn, and on which training: its 95 % bootstrap interval."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["crossed_interval", "mean_interval"]


def mean_interval(values: NDArray[np.float64], name: str, resamples: int) -> tuple[float, float] | None:
    """(low, high) of the mean of `values` (n,), one per clip, by the percentile bootstrap; None with fewer than two.

    For a paired comparison give the differences. `name` is that of the row, and seeds the draws: a new row in a table
    leaves the intervals of the others as they were.
    """
    if len(values) < 2:
        return None
    draws = np.random.default_rng([0, zlib.crc32(name.encode())])
    means = values[draws.integers(0, len(values), size=(resamples, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def crossed_interval(values: NDArray[np.float64], name: str, resamples: int) -> tuple[float, float] | None:
    """(low, high) of the mean of `values` (trainings, clips), trainings and clips drawn anew, each for itself.

    The trainings are scored on the same clips, so the clips drawn are the same for all of them. None with fewer than
    two trainings or two clips. Three trainings say little of how trainings differ: the interval is then a lower bound.
    """
    trainings, clips = values.shape
    if trainings < 2 or clips < 2:
        return None
    draws = np.random.default_rng([1, zlib.crc32(name.encode())])
    rows = draws.integers(0, trainings, size=(resamples, trainings))
    columns = draws.integers(0, clips, size=(resamples, clips))
    means = np.array([values[np.ix_(r, c)].mean() for r, c in zip(rows, columns, strict=True)])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
