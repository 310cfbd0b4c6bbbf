"""The training set: clips packed into contiguous float32 arrays, opened memory-mapped.

::

    training_set/
      features.npy      (frames, F) speech features; NaN in clips without a voice, which give styles alone
      states.npy        (frames, D) motion in natural units, channels as in info.json
      index.parquet     one row per segment: clip, speaker, emotion, split, use (speech or style), start, length
      normalizer.json   mean and standard deviation per channel and per feature, of the training split's speech
      left_out.csv      accepted clips that are not in it, and why
      info.json         channels, feature id, tracker kinds, window, corpus digests, counts, digest of all this;
                        `learned`: digest of what a training reads of it
      sync_gate.csv     with a sync gate only: verdict, offset in frames, confidence and method of every clip;
                        `speaker_mismatch` where it was left out

A segment is a stretch of a clip without a lost face; no window crosses its ends. Those of the test split lie last, so
that what a training reads is the beginning of every array. The bytes depend on the input alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.vocabulary.clips import Split, Use
from magictalk_core.work.provenance import Input, input_of, record_of

__all__ = [
    "LEARNED",
    "LEFT_OUT",
    "SYNC_GATE",
    "TRAINING_SET_VERSION",
    "TrainingSet",
    "moved_back",
    "out_of_sync",
    "training_set_input",
]

TRAINING_SET_VERSION = "3"
SYNC_GATE = "sync_gate.csv"
LEFT_OUT = "left_out.csv"
LEARNED = "learned"
"""The digest of what a training reads, among others that of all files: in `info.json` and in the record."""


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """An opened training set; arrays are memory-mapped and must not be written to."""

    path: Path
    info: dict[str, Any]
    index: pd.DataFrame
    features: NDArray[np.float32]
    states: NDArray[np.float32]
    normalizer: dict[str, dict[str, list[float]]]

    @classmethod
    def open(cls, path: Path) -> TrainingSet:
        if not (path / "info.json").is_file():
            raise PermanentError(f"no training set at {path}: type `magictalk run --select training_set`")
        info = json.loads((path / "info.json").read_text(encoding="utf-8"))
        if info["version"] != TRAINING_SET_VERSION:
            raise PermanentError(f"{path}: training set version {info['version']}, expected {TRAINING_SET_VERSION}")
        return cls.of(path, info)

    @classmethod
    def of(cls, path: Path, info: dict[str, Any]) -> TrainingSet:
        """The arrays and tables at `path` with what is known of them, which lies beside them in the end."""
        return cls(
            path,
            info,
            pq.read_table(path / "index.parquet").to_pandas(),
            np.load(path / "features.npy", mmap_mode="r"),
            np.load(path / "states.npy", mmap_mode="r"),
            json.loads((path / "normalizer.json").read_text(encoding="utf-8")),
        )

    @property
    def spoken(self) -> pd.DataFrame:
        """The rows of the index that have motion and speech; the others are for style alone."""
        return self.index[self.index["use"] == Use.SPEECH]

    def learned(self) -> TrainingSet:
        """What a training may look at: everything but the test split. `info["learned"]` is the digest of it."""
        index = self.index[self.index["split"] != Split.TEST]
        frames = int(index["length"].sum())
        return replace(self, index=index, features=self.features[:frames], states=self.states[:frames])

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self.info["channels"])


def out_of_sync(training_set: Path) -> frozenset[str]:
    """Clips that a sync gate left out or corrected: as they lie in their corpus, nothing can be scored on them."""
    return _judged(training_set, lambda found: ~found["kept"] | (found["shift"] != 0))


def moved_back(training_set: Path) -> frozenset[str]:
    """Clips whose speech a sync gate moved."""
    return _judged(training_set, lambda found: found["kept"] & (found["shift"] != 0))


def _judged(training_set: Path, chosen: Callable[[pd.DataFrame], pd.Series]) -> frozenset[str]:
    table = training_set / SYNC_GATE
    if not table.is_file():
        return frozenset()
    found = pd.read_csv(table)
    return frozenset(found.loc[chosen(found), "clip_id"])


def training_set_input(home: Path, training_set: Path, is_learned: bool = False) -> Input:
    """The training set as the input of other work, by the hash of its record: the arrays may be many gigabytes.

    `is_learned`: of a training, which never looks at the test split.
    """
    record, info = record_of(training_set), json.loads((training_set / "info.json").read_text(encoding="utf-8"))
    known = record.md5 if record is not None and record.version == info["digest"] else None
    return input_of(home, "training_set", training_set, known, (LEARNED, info[LEARNED]) if is_learned else None)
