"""The frames of a training set as the lip networks take them: mouth, coefficients, speech, and stretches of frames."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.models.shared.channels import coefficient_names, columns_of, mouth_names
from magictalk_core.models.shared.speech import around
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split

__all__ = ["LipFrames", "batch_of", "evenly"]


Indices = NDArray[np.int64]


class LipFrames:
    """Tensors over all frames of a training set, and where its segments begin and end.

    `motion` (L, D) natural units in the set's channels, `normal` the same normalised, `speech` (L, F) normalised.
    """

    def __init__(self, data: TrainingSet) -> None:
        self.data = data
        self.motion = torch.from_numpy(np.array(data.states))
        self.mean, self.std = self._numbers("states")
        self.normal = (self.motion - self.mean) / self.std
        mean, std = self._numbers("features")
        self.speech = (torch.from_numpy(np.array(data.features)) - mean) / std
        self.mouth_names = mouth_names(data.channels)
        self.coefficient_names = coefficient_names(data.channels)
        self.mouth = self.columns(self.mouth_names)
        self.coefficients = self.columns(self.coefficient_names)
        self.starts = data.index["start"].to_numpy(np.int64)
        self.ends = self.starts + data.index["length"].to_numpy(np.int64)
        self.emotions = data.index["emotion"].astype(object).where(data.index["emotion"].notna(), "").to_numpy(str)

    def _numbers(self, what: str) -> tuple[Tensor, Tensor]:
        numbers = self.data.normalizer[what]
        mean, std = (torch.tensor(numbers[name], dtype=torch.float32) for name in ("mean", "std"))
        return mean, std

    def columns(self, names: tuple[str, ...]) -> list[int]:
        return columns_of(names, self.data.channels, "training set")

    def segments(self, split: Split, emotions: frozenset[str] | None = None) -> pd.DataFrame:
        """Rows of the index of a split; with `emotions` those labelled so ("" is unlabelled)."""
        chosen = (self.data.index["split"] == split).to_numpy()
        if emotions is not None:
            chosen = chosen & np.isin(self.emotions, sorted(emotions))
        return self.data.index[chosen]

    def runs(self, segments: pd.DataFrame, length: int, stride: int) -> Indices:
        """Starts of the runs of `length` frames, every `stride` frames of every segment."""
        spans = zip(segments["start"].tolist(), segments["length"].tolist(), strict=True)
        starts = [np.arange(start, start + n - length + 1, stride) for start, n in spans]
        return np.concatenate(starts) if starts else np.zeros(0, np.int64)

    def training_runs(self, segments: pd.DataFrame, length: int, stride: int) -> Indices:
        """As `runs`, and there must be one."""
        starts = self.runs(segments, length, stride)
        if not len(starts):
            raise PermanentError(f"lips: no training clip has {length} frames in a row: add clips")
        return starts

    def segment_of(self, starts: Indices) -> Indices:
        """The row of the index that each frame lies in."""
        return np.asarray(np.searchsorted(self.starts, starts, side="right") - 1)

    def speech_around(self, frames: Tensor, starts: Indices, width: int) -> Tensor:
        """(B, N, width, F) speech centred on `frames` (B, N), within the segments that hold `starts` (B,)."""
        rows = self.segment_of(starts)
        low, high = (torch.from_numpy(bounds[rows]) for bounds in (self.starts, self.ends))
        return around(self.speech, frames, low, high, width)


def batch_of(starts: Indices, size: int, seed: int, step: int) -> Indices:
    """The runs of optimizer step `step`: one shuffle per epoch, full batches only, a pure function of (seed, step)."""
    epoch, position = divmod(step, max(1, len(starts) // size))
    order = np.random.default_rng([seed, epoch]).permutation(starts)
    return np.asarray(order[position * size : (position + 1) * size])


def evenly(starts: Indices, count: int) -> Indices:
    """At most `count` of the runs, evenly spread."""
    return np.asarray(starts[np.linspace(0, len(starts) - 1, min(count, len(starts))).round().astype(int)])
