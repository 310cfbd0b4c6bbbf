"""Face crops of the clips of a training set, cut from their standardized videos once per training."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.judges.emotion_fan import FACE_SCALE
from magictalk_core.judges.face_crops import FaceFinder, crop_all
from magictalk_core.media.decode import read_frames
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import EMOTIONS
from magictalk_core.workspace import Workspace

__all__ = ["ClipFaces", "labelled_clips"]


@dataclass(frozen=True, eq=False)
class ClipFaces:
    """`crops` (c, k, side, side, 3) uint8 of c clips, `emotions` (c,) their classes in `EMOTIONS`, `splits` (c,).

    The crops lie in a temporary file and not in memory: of 30,000 clips at 224 pixels they are 36 GB.
    """

    crops: NDArray[np.uint8]
    emotions: NDArray[np.int64]
    splits: NDArray[np.str_]

    @classmethod
    def cut(cls, data: TrainingSet, side: int, count: int) -> ClipFaces:
        """`count` crops, evenly spread over each labelled clip; clips in which no frame shows a face are left out.

        The training set must lie in the workspace that holds its corpora. Raises `PermanentError` where no clip has a
        label of `EMOTIONS`.
        """
        clips = labelled_clips(data)
        if clips.empty:
            raise PermanentError(
                f"{data.path}: no clip has one of the emotions {', '.join(EMOTIONS)}: nothing to learn"
            )
        with tempfile.TemporaryFile() as file:  # the array that maps it keeps it
            crops = np.memmap(file, np.uint8, "w+", shape=(len(clips), count, side, side, 3))
        kept = []
        finder = FaceFinder.load()
        for row, video in enumerate(_videos(data, clips)):
            found = _crops(finder, video, side, count)
            if len(found):
                crops[row] = found[np.linspace(0, len(found) - 1, count).round().astype(int)]
                kept.append(row)
        rows = np.array(kept, np.int64)
        emotions = np.array([EMOTIONS.index(name) for name in clips["emotion"]], np.int64)
        return cls(crops, emotions, clips["split"].to_numpy(str))._of(rows)

    def _of(self, rows: NDArray[np.int64]) -> ClipFaces:
        if len(rows) == len(self.emotions):
            return self
        return ClipFaces(self.crops[rows], self.emotions[rows], self.splits[rows])

    def rows(self, split: Split) -> NDArray[np.int64]:
        return np.flatnonzero(self.splits == split.value)


def labelled_clips(data: TrainingSet) -> pd.DataFrame:
    """One row per clip to learn from or to watch (no test clip) whose emotion is one of `EMOTIONS`, by clip id."""
    index = data.learned().index
    return index[index["emotion"].isin(EMOTIONS)].drop_duplicates("clip_id").sort_values("clip_id")


def _videos(data: TrainingSet, clips: pd.DataFrame) -> Iterator[Path]:
    workspace = Workspace(data.path.parent)
    readers: dict[str, CorpusReader] = {}
    for corpus, clip_id in zip(clips["corpus"], clips["clip_id"], strict=True):
        reader = readers.setdefault(corpus, CorpusReader(workspace, corpus))
        yield reader.media(clip_id)[0]


def _crops(finder: FaceFinder, video: Path, side: int, count: int) -> NDArray[np.uint8]:
    frames = list(read_frames(video))
    chosen = np.stack([frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, count).round().astype(int))])
    return crop_all(chosen, finder.squares(chosen, FACE_SCALE, 0.0), side)
