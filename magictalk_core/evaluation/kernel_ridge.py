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

_MOST_FRAMES, _TRIAL_FRAMES = 2400, 1000
"""To fit, and to try settings with: a solution takes the cube of it, and 2400 frames a third of a second."""

_REACHES = (0, 3, 6)
_WIDTHS = (0.25, 0.5, 1.0)
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
        settings = RidgeSettings(_REACHES[1], 1.0, (_UNTUNED,) * len(data.channels), 0)
        if held_out:
            settings = _best_settings(train, held_out, data.channels, mean, std)
        keys, moved = _spread(_heard(train, settings.reach, mean, std), train, _MOST_FRAMES)
        distances = _squared_distances(keys, keys)
        scale = _scale(distances, settings.width)
        found = _solved(np.exp(-distances * scale), moved, sorted({r for r in settings.ridges if np.isfinite(r)}))
        still = np.zeros_like(moved)
        columns = [found.get(ridge, still)[:, column] for column, ridge in enumerate(settings.ridges)]
        return cls(settings, keys, scale, np.stack(columns, axis=1), mean, std)

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


def _spread(heard: Rows, segments: Sequence[SpokenSegment], most: int) -> tuple[Rows, Rows]:
    """Features and movement of at most so many frames, evenly over all."""
    moved = np.concatenate([segment.moved for segment in segments])
    chosen = np.linspace(0, len(moved) - 1, min(len(moved), most)).round().astype(int)
    return heard[chosen], moved[chosen]


def _scale(distances: Rows, width: float) -> float:
    """Of the squared distance, so that `width` is in median distances."""
    apart = distances[distances > 0]
    return 1 / (2 * width**2 * (float(np.median(apart)) if len(apart) else 1.0))


def _solved(kernel: Rows, moved: Rows, ridges: Sequence[float]) -> dict[float, Rows]:
    """Ridge -> weights (m, D)."""
    found = {}
    for ridge in ridges:
        factor = cho_factor(kernel + ridge * np.eye(len(kernel)), lower=True, check_finite=False)
        found[ridge] = cho_solve(factor, moved, check_finite=False)
    return found


def _best_settings(
    train: Sequence[SpokenSegment],
    held_out: Sequence[SpokenSegment],
    channels: Sequence[str],
    mean: Rows,
    std: Rows,
) -> RidgeSettings:
    """What predicts the mouths of the held-out segments best, and for each channel the ridge that predicts it best."""
    truth = np.concatenate([segment.moved for segment in held_out])
    still = (truth**2).mean(axis=0)
    mouth = [i for i in mouth_columns(channels) if still[i] > 0] or list(range(len(still)))
    clips = len({segment.clip_id for segment in held_out})
    best: tuple[float, RidgeSettings] | None = None
    for reach in _REACHES:
        keys, moved = _spread(_heard(train, reach, mean, std), train, _TRIAL_FRAMES)
        distances = _squared_distances(keys, keys)
        to_held_out = _squared_distances(_heard(held_out, reach, mean, std), keys)
        for width in _WIDTHS:
            scale = _scale(distances, width)
            found = _solved(np.exp(-distances * scale), moved, _RIDGES)
            kernel = np.exp(-to_held_out * scale)
            errors = [still, *(((kernel @ found[ridge] - truth) ** 2).mean(axis=0) for ridge in _RIDGES)]
            error = float((np.min(errors, axis=0)[mouth] / still[mouth].clip(1e-12)).mean())
            if best is None or error < best[0]:
                ridges = tuple(float((np.inf, *_RIDGES)[row]) for row in np.argmin(errors, axis=0))
                best = error, RidgeSettings(reach, width, ridges, clips)
    assert best is not None
    return best[1]
