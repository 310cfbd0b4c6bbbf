"""What the baselines that know the style learn from: how the clips move about their own mean.

A style clip gives the level of a face; what is left to learn from the speech is the movement about that level. So the
baselines are fitted to motion less the mean of its clip, and add the mean of the style clip to what they make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES
from magictalk_core.vocabulary.clips import Split

__all__ = ["SpokenSegment", "mouth_columns", "spoken_segments"]

_MOST_CLIPS = 400
"""Of a large corpus so many, spread over it, are enough for what is fitted here."""


@dataclass(frozen=True, eq=False)
class SpokenSegment:
    """A stretch of a clip without a lost face: features (n, F), `moved` (n, D) motion less the mean of its clip, and
    which frames of the clip they are (n,)."""

    clip_id: str
    features: NDArray[np.float32]
    moved: NDArray[np.float64]
    frames: NDArray[np.int64]


def spoken_segments(data: TrainingSet, split: Split) -> list[SpokenSegment]:
    """Segments with speech of a split, clip by clip; empty where the split has none."""
    rows = data.spoken[data.spoken["split"] == split]
    found: list[SpokenSegment] = []
    for clip_id in _spread(sorted(rows["clip_id"].unique()), _MOST_CLIPS):
        own = rows[rows["clip_id"] == clip_id]
        parts = [
            (slice(int(r.start), int(r.start + r.length)), np.arange(r.clip_start, r.clip_start + r.length))
            for r in own.itertuples()
        ]
        mean = np.concatenate([data.states[part] for part, _ in parts]).astype(np.float64).mean(axis=0)
        found += [
            SpokenSegment(str(clip_id), np.asarray(data.features[part]), data.states[part] - mean, frames)
            for part, frames in parts
        ]
    return found


def mouth_columns(channels: Sequence[str]) -> list[int]:
    """The columns of jaw and mouth among `channels`."""
    return [i for i, name in enumerate(channels) if name in JAW_MOUTH_NAMES]


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]
