"""Frechet distance between sets of motions: do they move alike, whoever said what?

A motion is cut into windows. With their level, a window is described by the mean of every channel and by the standard
deviation of its changes from frame to frame; as dynamics alone, by the standard deviation of every channel in the
window and of its changes, which a face that stands right and never moves cannot copy. Both are divided by the
channel's standard deviation in the real set. The distance is that of two Gaussians over the first principal components
of the real windows (as SAiD's evaluation takes it over learned features; yunik1004/SAiD,
said/metric/frechet_distance.py; here nothing is learned, so that anyone can compute it again).

Sets of few clips are far from each other even when both are real. So the motions of one half of the clips are compared
with the real ones of the other half, over several halvings: the real motions themselves, compared in the same way, show
what distance means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError

__all__ = [
    "HALVINGS",
    "LEAST_WINDOWS",
    "WINDOW",
    "Halving",
    "WindowFeatures",
    "frechet_distance",
    "halves_distance",
    "halvings",
    "window_count",
]

WINDOW, STRIDE = 16, 4
COMPONENTS = 16
"""Fewer than the windows of a small test set, so that a covariance is one."""

LEAST_WINDOWS = 2 * COMPONENTS
"""Of real motion, below which there is no distance."""

HALVINGS = 10
_MIN_STD = 1e-6

Rows = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class WindowFeatures:
    """Turns motions (frames, D) into rows of `COMPONENTS` numbers, fitted on the real ones; of their `dynamics` alone,
    or with their level."""

    dynamics: bool
    scale: Rows
    mean: Rows
    components: Rows

    @classmethod
    def fit(cls, motions: Sequence[NDArray[Any]], dynamics: bool = False) -> WindowFeatures:
        """On real motions in one set of channels. Raises `PermanentError` with too few windows."""
        about = [m - np.mean(m, axis=0) if dynamics else m for m in motions if len(m)]
        deviation = np.concatenate(about).astype(np.float64).std(axis=0) if about else np.zeros(0)
        scale = np.where(deviation > _MIN_STD, deviation, np.inf)  # a channel that never moves says nothing
        rows = _windows(motions, scale, dynamics)
        if len(rows) < LEAST_WINDOWS:
            raise PermanentError(f"a Frechet distance needs {LEAST_WINDOWS} windows of real motion, found {len(rows)}")
        mean = rows.mean(axis=0)
        _, _, directions = np.linalg.svd(rows - mean, full_matrices=False)
        return cls(dynamics, scale, mean, directions[:COMPONENTS])

    def rows(self, motions: Sequence[NDArray[Any]]) -> Rows:
        """(windows, COMPONENTS) of motions in the same channels."""
        return np.asarray((_windows(motions, self.scale, self.dynamics) - self.mean) @ self.components.T)


def window_count(motions: Sequence[NDArray[Any]]) -> int:
    """How many windows motions (frames, D) are cut into."""
    return sum(len(range(0, len(motion) - WINDOW + 1, STRIDE)) for motion in motions)


def _windows(motions: Sequence[NDArray[Any]], scale: Rows, dynamics: bool) -> Rows:
    found = []
    for motion in motions:
        values = np.asarray(motion, np.float64) / scale
        for start in range(0, len(values) - WINDOW + 1, STRIDE):
            piece = values[start : start + WINDOW]
            first = piece.std(axis=0) if dynamics else piece.mean(axis=0)
            found.append(np.concatenate([first, np.diff(piece, axis=0).std(axis=0)]))
    return np.array(found, np.float64).reshape(len(found), 2 * len(scale))


Halving = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Numbers of the clips of either half."""


def halvings(clips: int) -> list[Halving]:
    """`HALVINGS` ways to cut so many clips in two, the same every time."""
    random = np.random.default_rng(clips)
    orders = [random.permutation(clips) for _ in range(HALVINGS)]
    return [(np.sort(order[: clips // 2]), np.sort(order[clips // 2 :])) for order in orders]


def halves_distance(made: Sequence[Rows], real: Sequence[Rows], chosen: Sequence[Halving]) -> float | None:
    """Mean distance of what was `made` for one half of the clips to the `real` other half, both ways round.

    Rows of each clip, in one order; `made` may be `real`. None where a half has fewer than `LEAST_WINDOWS` windows.
    """
    found = []
    for first, second in chosen:
        for mine, others in ((first, second), (second, first)):
            if not len(mine) or not len(others):
                return None
            a, b = np.concatenate([made[i] for i in mine]), np.concatenate([real[i] for i in others])
            if min(len(a), len(b)) < LEAST_WINDOWS:
                return None
            found.append(frechet_distance(a, b))
    return float(np.mean(found)) if found else None


def frechet_distance(a: Rows, b: Rows) -> float:
    """|mean difference|^2 + trace(A + B - 2 (A B)^(1/2)) of the Gaussians fitted to rows (n, k); 0 for equal sets."""
    mean = a.mean(axis=0) - b.mean(axis=0)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # trace((A B)^(1/2)) = trace((A^(1/2) B A^(1/2))^(1/2)), which is symmetric and keeps rounding small.
    # By eigenvalues: a frozen face has a singular covariance.
    values, vectors = np.linalg.eigh(first)
    half = (vectors * np.sqrt(values.clip(0.0))) @ vectors.T
    shared = np.linalg.eigvalsh(half @ second @ half).clip(0.0)
    return float(max(0.0, mean @ mean + np.trace(first) + np.trace(second) - 2 * np.sqrt(shared).sum()))
