"""Kernel ridge regression of the motion on the speech features, about the mean of the style: ten lines of the 1970s.

What a trained network must beat. A Gaussian kernel over the features of a few frames; how many frames, how wide, and
how much to smooth each channel, is what the validation speakers are best predicted with. A channel that the speech
says nothing of stays at the mean of the style.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from magictalk_core.evaluation.around_style import SpokenSegment, mouth_columns, spoken_segments
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split

__all__ = ["KernelRidge", "RidgeSettings"]

_MOST_FRAMES = 2400
"""To fit: the solution takes the cube of it, and 2400 a third of a second."""

_REACHES = (0, 3, 6)
_WIDTHS = (0.5, 1.0, 2.0)
_RIDGES = (0.03, 0.3, 3.0)
_UNTUNED = 0.3

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class RidgeSettings:
    """`reach`: the frames t - reach, t and t + reach are heard. `width` of the kernel over the median distance.
    `ridges`: per channel; infinite where the mean is best. `tuned_on`: how many validation clips chose them."""

    reach: int
    width: float
    ridges: tuple[float, ...]
    tuned_on: int

    def facts(self) -> dict[str, Any]:
        """For the metadata of a table."""
        return {**asdict(self), "ridges": [r if np.isfinite(r) else None for r in self.ridges]}


@dataclass(frozen=True, eq=False)
class KernelRidge:
    """A fitted regression: `keys` (m, K) features of training frames, `weights` (m, D); `mean` and `std` (F,)."""

    settings: RidgeSettings
    keys: Rows
    scale: float
    weights: Rows
    mean: Rows
    std: Rows

    @classmethod
    def fit(cls, data: TrainingSet) -> KernelRidge:
        """On the training speakers, with the settings that are best for the validation speakers.

        Where nobody is held out for validation the middle of each list is taken.
        """
        numbers = data.normalizer["features"]
        mean, std = (np.array(numbers[k], np.float64) for k in ("mean", "std"))
        train, held_out = (spoken_segments(data, split) for split in (Split.TRAIN, Split.VAL))
        moved = np.concatenate([segment.moved for segment in train])
        chosen = np.linspace(0, len(moved) - 1, min(len(moved), _MOST_FRAMES)).round().astype(int)
        best: tuple[float, KernelRidge] | None = None
        for reach in _REACHES if held_out else (_REACHES[1],):
            keys = _heard(train, reach, mean, std)[chosen]
            distances = _squared_distances(keys, keys)
            middle = float(np.median(distances[distances > 0])) if (distances > 0).any() else 1.0
            asked = _heard(held_out, reach, mean, std) if held_out else None
            to_held_out = None if asked is None else _squared_distances(asked, keys)
            for width in _WIDTHS if held_out else (1.0,):
                scale = 1 / (2 * width**2 * middle)
                found = _solved(np.exp(-distances * scale), moved[chosen])
                if to_held_out is None:
                    settings = RidgeSettings(reach, width, (_UNTUNED,) * moved.shape[1], 0)
                    return cls(settings, keys, scale, found[_UNTUNED], mean, std)
                error, ridges, weights = _best_ridges(found, np.exp(-to_held_out * scale), held_out, data.channels)
                if best is None or error < best[0]:
                    clips = len({segment.clip_id for segment in held_out})
                    best = error, cls(RidgeSettings(reach, width, ridges, clips), keys, scale, weights, mean, std)
        assert best is not None
        return best[1]

    def movement(self, speech: NDArray[Any]) -> Rows:
        """(L, D) less the mean of the style, for speech features (L, F)."""
        heard = _around((np.asarray(speech, np.float64) - self.mean) / self.std, self.settings.reach)
        return np.asarray(np.exp(-_squared_distances(heard, self.keys) * self.scale) @ self.weights)


def _around(features: Rows, reach: int) -> Rows:
    """(n, K): the features of every frame and of those `reach` before and after; at the ends the last one again."""
    if reach == 0:
        return features
    at = np.arange(len(features))
    return np.concatenate([features[np.clip(at + shift, 0, len(at) - 1)] for shift in (-reach, 0, reach)], axis=1)


def _heard(segments: Sequence[SpokenSegment], reach: int, mean: Rows, std: Rows) -> Rows:
    return np.concatenate([_around((segment.features - mean) / std, reach) for segment in segments])


def _squared_distances(a: Rows, b: Rows) -> Rows:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return np.asarray(squares.clip(0.0))


def _solved(kernel: Rows, moved: Rows) -> dict[float, Rows]:
    """Ridge -> weights (m, D)."""
    found = {}
    for ridge in _RIDGES:
        factor = cho_factor(kernel + ridge * np.eye(len(kernel)), lower=True, check_finite=False)
        found[ridge] = cho_solve(factor, moved, check_finite=False)
    return found


def _best_ridges(
    found: dict[float, Rows], kernel: Rows, held_out: Sequence[SpokenSegment], channels: Sequence[str]
) -> tuple[float, tuple[float, ...], Rows]:
    """(error of the mouth over that of the mean, the ridge of each channel, weights) by the held-out segments."""
    truth = np.concatenate([segment.moved for segment in held_out])
    still = (truth**2).mean(axis=0)
    ridges = [np.inf, *found]
    errors = np.stack([still, *(((kernel @ weights - truth) ** 2).mean(axis=0) for weights in found.values())])
    chosen = errors.argmin(axis=0)
    every = [np.zeros_like(next(iter(found.values()))), *found.values()]
    weights = np.stack([every[row][:, column] for column, row in enumerate(chosen)], axis=1)
    mouth = [i for i in mouth_columns(channels) if still[i] > 0] or list(range(len(still)))
    error = float((errors.min(axis=0)[mouth] / np.maximum(still[mouth], 1e-12)).mean())
    return error, tuple(float(ridges[row]) for row in chosen), weights
