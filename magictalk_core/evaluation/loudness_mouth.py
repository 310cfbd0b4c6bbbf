"""A mouth that opens when the voice is loud: the movement of each jaw and mouth channel is the loudness, scaled.

It has heard no word. How late, how smooth and how strong: the first two by the validation speakers, the strength of
each channel by least squares on the training speakers. All else stays at the mean of the style.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from magictalk_core.evaluation.around_style import SpokenSegment, mouth_columns, spoken_segments
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split

__all__ = ["LoudnessMouth", "LoudnessSettings"]

_DELAYS = (-2, -1, 0, 1, 2, 3, 4)
_SMOOTHINGS = (0.0, 1.0, 2.0)

Rows = NDArray[np.float64]
Loudness = Callable[[str], Rows]
"""Clip id -> (n,) dB of every frame of the clip."""


@dataclass(frozen=True)
class LoudnessSettings:
    """Frames that the mouth is later than the voice, frames of smoothing, and how many validation clips chose them."""

    delay: int
    smoothing: float
    tuned_on: int

    def facts(self) -> dict[str, Any]:
        """For the metadata of a table."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class LoudnessMouth:
    """`slopes` (D,) movement per decibel; 0 for what is neither jaw nor mouth."""

    settings: LoudnessSettings
    slopes: Rows

    @classmethod
    def fit(cls, data: TrainingSet, loudness: Loudness) -> LoudnessMouth:
        """With nobody held out for validation: no delay, and one frame of smoothing."""
        train, held_out = (spoken_segments(data, split) for split in (Split.TRAIN, Split.VAL))
        heard = {clip: loudness(clip) for clip in {segment.clip_id for segment in (*train, *held_out)}}
        mouth = mouth_columns(data.channels)
        best: tuple[float, LoudnessMouth] | None = None
        for delay, smoothing in product(_DELAYS, _SMOOTHINGS) if held_out else ((0, 1.0),):
            settings = LoudnessSettings(delay, smoothing, len({segment.clip_id for segment in held_out}))
            levels = {clip: _levels(values, settings) for clip, values in heard.items()}
            x, moved = _pairs(train, levels)
            slopes = np.zeros(moved.shape[1])
            slopes[mouth] = x @ moved[:, mouth] / max(float(x @ x), 1e-12)
            found = cls(settings, slopes)
            if not held_out:
                return found
            x, moved = _pairs(held_out, levels)
            error = float(((moved - np.outer(x, slopes))[:, mouth] ** 2).mean())
            if best is None or error < best[0]:
                best = error, found
        assert best is not None
        return best[1]

    def movement(self, loudness: Rows) -> Rows:
        """(L, D) less the mean of the style, for the loudness (L,) of a clip."""
        return np.outer(_levels(loudness, self.settings), self.slopes)


def _levels(loudness: Rows, settings: LoudnessSettings) -> Rows:
    """(n,) dB about the clip's mean, smooth and late."""
    values = np.asarray(loudness, np.float64)
    if settings.smoothing:
        values = gaussian_filter1d(values, settings.smoothing, mode="nearest")
    late = values[np.clip(np.arange(len(values)) - settings.delay, 0, len(values) - 1)]
    return np.asarray(late - late.mean())


def _pairs(segments: Sequence[SpokenSegment], levels: Mapping[str, Rows]) -> tuple[Rows, Rows]:
    """Levels (n,) and movements (n, D) of all frames of the segments."""
    x = np.concatenate([levels[segment.clip_id][segment.frames] for segment in segments])
    return x, np.concatenate([segment.moved for segment in segments])
