"""Frechet distance between sets of motions: do they move alike, whoever said what?

A motion is cut into windows; a window is described by the mean of every channel and by the standard deviation of its
changes from frame to frame, both divided by the channel's standard deviation in the real set. The distance is that of
two Gaussians over the first principal components of the real windows (as SAiD's evaluation takes it over learned
features; yunik1004/SAiD, said/metric/fd.py; here nothing is learned, so that anyone can compute it again).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from magictalk_core.errors import PermanentError

__all__ = ["LEAST_WINDOWS", "WINDOW", "WindowFeatures", "frechet_distance", "window_count"]

WINDOW, STRIDE = 16, 4
COMPONENTS = 16
"""Fewer than the windows of a small test set, so that a covariance is one."""

LEAST_WINDOWS = 2 * COMPONENTS
"""Of real motion, below which there is no distance."""

Rows = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WindowFeatures:
    """Turns motions (frames, D) into rows of `COMPONENTS` numbers, fitted on the real ones."""

    scale: Rows
    mean: Rows
    components: Rows

    @classmethod
    def fit(cls, motions: Sequence[NDArray[Any]]) -> WindowFeatures:
        """From the real motions; D channels without NaN. Raises `PermanentError` with too few windows."""
        scale = np.concatenate([np.asarray(m, np.float64) for m in motions]).std(axis=0)
        scale = np.where(scale > 1e-6, scale, np.inf)  # a channel that never moves says nothing
        rows = _windows(motions, scale)
        if len(rows) < LEAST_WINDOWS:
            raise PermanentError(f"a Frechet distance needs {LEAST_WINDOWS} windows of real motion, found {len(rows)}")
        mean = rows.mean(axis=0)
        _, _, directions = np.linalg.svd(rows - mean, full_matrices=False)
        return cls(scale, mean, directions[:COMPONENTS])

    def rows(self, motions: Sequence[NDArray[Any]]) -> Rows:
        """(windows, COMPONENTS) of motions in the same channels."""
        return np.asarray((_windows(motions, self.scale) - self.mean) @ self.components.T)


def window_count(motions: Sequence[NDArray[Any]]) -> int:
    """How many windows motions (frames, D) are cut into."""
    return sum(len(range(0, len(motion) - WINDOW + 1, STRIDE)) for motion in motions)


def _windows(motions: Sequence[NDArray[Any]], scale: Rows) -> Rows:
    found = []
    for motion in motions:
        values = np.asarray(motion, np.float64) / scale
        for start in range(0, len(values) - WINDOW + 1, STRIDE):
            piece = values[start : start + WINDOW]
            found.append(np.concatenate([piece.mean(axis=0), np.diff(piece, axis=0).std(axis=0)]))
    return np.array(found, np.float64).reshape(len(found), 2 * len(scale))


def frechet_distance(a: Rows, b: Rows) -> float:
    """|mean difference|^2 + trace(A + B - 2 (A B)^(1/2)) of the Gaussians fitted to rows (n, k); 0 for equal sets."""
    mean = a.mean(axis=0) - b.mean(axis=0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # trace((A B)^(1/2)) = trace((A^(1/2) B A^(1/2))^(1/2)), which is symmetric and keeps rounding small.
    half = np.real(sqrtm(first))
    shared = np.linalg.eigvalsh(half @ second @ half).clip(0.0)
    return float(max(0.0, mean @ mean + np.trace(first) + np.trace(second) - 2 * np.sqrt(shared).sum()))
