"""How much a mean depends on which clips were drawn: its 95 % bootstrap interval."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["mean_interval"]


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
