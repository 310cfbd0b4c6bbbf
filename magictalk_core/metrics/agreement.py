"""How much people agree beyond chance: Krippendorff's alpha (Content Analysis, 2004, chapter 11)."""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["alpha_interval", "krippendorff_alpha"]

Level = Literal["nominal", "interval"]


def krippendorff_alpha(values: NDArray[np.float64], level: Level = "nominal") -> float | None:
    """Alpha of `values` (coders, units), NaN where a coder said nothing of a unit; 1: all agree, 0: as by chance.

    None where no unit has two values, or where all values are equal: then chance alone explains agreement too.
    """
    known = ~np.isnan(values)
    values, known = values[:, known.sum(axis=0) > 1], known[:, known.sum(axis=0) > 1]
    if not values.size:
        return None
    categories = np.unique(values[known])
    # counts (units, categories); every unit weighs as many pairs as it has coders.
    counts = np.stack([((values == category) & known).sum(axis=0) for category in categories], axis=1).astype(float)
    coders = counts.sum(axis=1, keepdims=True)
    coincidences = (counts / (coders - 1)).T @ counts - np.diag((counts / (coders - 1)).sum(axis=0))
    totals = coincidences.sum(axis=1)
    expected = (np.outer(totals, totals) - np.diag(totals)) / (totals.sum() - 1)
    difference = np.subtract.outer(categories, categories) ** 2
    distance = difference if level == "interval" else (difference > 0).astype(float)
    by_chance = float((expected * distance).sum())
    return None if by_chance == 0 else 1.0 - float((coincidences * distance).sum()) / by_chance


def alpha_interval(
    values: NDArray[np.float64], name: str, resamples: int, level: Level = "nominal"
) -> tuple[float, float] | None:
    """95 % percentile bootstrap over the units; None with fewer than two. `name` seeds the draws."""
    units = values.shape[1]
    if units < 2:
        return None
    random = np.random.default_rng([0, zlib.crc32(name.encode())])
    draws = [krippendorff_alpha(values[:, random.integers(0, units, units)], level) for _ in range(resamples)]
    found = [draw for draw in draws if draw is not None]
    if len(found) < 2:
        return None
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)
