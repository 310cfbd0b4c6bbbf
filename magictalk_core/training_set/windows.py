"""The frames of a training set as the networks take them: normalised tensors, and windows inside its segments."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.training_set.channels import coefficient_names, columns_of, mouth_names
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.normalizer import Normalizer
from magictalk_core.training_set.speech_context import speech_around
from magictalk_core.vocabulary.clips import Split, Use

__all__ = ["UNLABELLED", "TrainingFrames"]

UNLABELLED = ""
"""The emotion of a clip that nobody named. It is no other word for neutral."""

Indices = NDArray[np.int64]


class TrainingFrames:
    """Tensors over all frames of a training set, and where its segments begin and end.

    `motion` (L, D) natural units in the set's channels, `normal` the same normalised, `speech` (L, F) normalised. The
    arrays of a whole corpus fit in memory once more in normalised form: about 300 bytes a frame.
    """

    def __init__(self, data: TrainingSet) -> None:
        self.data = data
        self.states = Normalizer.of(data.normalizer["states"])
        self.motion = torch.from_numpy(np.array(data.states))
        self.normal = self.states.normal(self.motion)
        self.speech = Normalizer.of(data.normalizer["features"]).normal(torch.from_numpy(np.array(data.features)))
        self.starts = data.index["start"].to_numpy(np.int64)
        self.ends = self.starts + data.index["length"].to_numpy(np.int64)
        emotions = data.index["emotion"]
        self.emotions = emotions.astype(object).where(emotions.notna(), UNLABELLED).to_numpy(str)

    @property
    def mouth_names(self) -> tuple[str, ...]:
        """The jaw and mouth channels of the set; `jawOpen` must be one."""
        return mouth_names(self.data.channels)

    @property
    def coefficient_names(self) -> tuple[str, ...]:
        """The channels without the head pose."""
        return coefficient_names(self.data.channels)

    def columns(self, names: tuple[str, ...]) -> list[int]:
        return columns_of(names, self.data.channels, "training set")

    def segments(self, split: Split, emotions: frozenset[str] | None = None) -> pd.DataFrame:
        """Rows of the index of a split that have speech; with `emotions` those labelled so."""
        chosen = ((self.data.index["split"] == split) & (self.data.index["use"] == Use.SPEECH)).to_numpy()
        if emotions is not None:
            chosen = chosen & np.isin(self.emotions, sorted(emotions))
        return self.data.index[chosen]

    def windows(self, segments: pd.DataFrame, length: int, stride: int) -> Indices:
        """Starts of the windows of `length` frames, every `stride` frames of every segment."""
        spans = zip(segments["start"].tolist(), segments["length"].tolist(), strict=True)
        starts = [np.arange(start, start + n - length + 1, stride) for start, n in spans]
        return np.concatenate(starts) if starts else np.zeros(0, np.int64)

    def training_windows(self, segments: pd.DataFrame, length: int, stride: int) -> Indices:
        """As `windows`, and there must be one."""
        starts = self.windows(segments, length, stride)
        if not len(starts):
            raise PermanentError(f"no training clip has {length} frames with a face in a row: add clips")
        return starts

    def segment_of(self, starts: Indices) -> Indices:
        """The row of the index that each frame lies in."""
        return np.asarray(np.searchsorted(self.starts, starts, side="right") - 1)

    def speech_around(self, frames: Tensor, starts: Indices, width: int) -> Tensor:
        """(B, N, width, F) speech centred on `frames` (B, N), within the segments that hold `starts` (B,)."""
        rows = self.segment_of(starts)
        low, high = (torch.from_numpy(bounds[rows]) for bounds in (self.starts, self.ends))
        return speech_around(self.speech, frames, low, high, width)
