"""Frames of the clips of a training set, from their standardized videos, with the head pose that the tracker saw."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.media.decode import read_frames
from magictalk_core.models.facevid2vid.training_config import ClipChoice
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES, POSE_NAMES
from magictalk_core.vocabulary.clips import Split
from magictalk_core.workspace import Workspace

__all__ = ["ClipFrames", "expression_range"]

_ANGLES = [MOTION_NAMES.index(name) for name in POSE_NAMES[:3]]
_FACE = [MOTION_NAMES.index(name) for name in ARKIT_NAMES]
_LEAST_FRAMES = 2


@dataclass(frozen=True, eq=False)
class ClipFrames:
    """`pictures` (c, k, side, side, 3) uint8 of c clips, `angles` (c, k, 3) pitch, yaw and roll of the head in them, in
    degrees as `vocabulary.arkit` states them, `splits` (c,), `clips` (c,) their ids.

    The pictures lie in a temporary file and not in memory: 16 frames of 30,000 clips at 256 pixels are 94 GB.
    """

    pictures: NDArray[np.uint8]
    angles: NDArray[np.float32]
    splits: NDArray[np.str_]
    clips: NDArray[np.str_]

    @classmethod
    def cut(cls, data: TrainingSet, side: int, count: int, choice: ClipChoice) -> ClipFrames:
        """`count` frames of every chosen clip, evenly spread over those in which the tracker saw the head.

        A clip with fewer than two such frames is left out. The training set must lie in the workspace that holds its
        corpora; a training is given it without its test clips. Raises `PermanentError` where no training clip is left,
        saying how many each condition took.
        """
        found = _chosen(data, choice)
        with tempfile.TemporaryFile() as file:  # the array that maps it keeps it
            pictures = np.memmap(file, np.uint8, "w+", shape=(max(1, len(found)), count, side, side, 3))
        angles = np.zeros((len(found), count, 3), np.float32)
        for row, clip in enumerate(found):
            at = clip.seen[np.linspace(0, len(clip.seen) - 1, count).round().astype(int)]
            pictures[row] = _frames_at(clip.video, at, side)
            angles[row] = clip.motion[at][:, _ANGLES]
        return cls(
            pictures[: len(found)],
            angles,
            np.array([clip.split for clip in found], str),
            np.array([clip.clip_id for clip in found], str),
        )

    def rows(self, split: Split) -> NDArray[np.int64]:
        return np.flatnonzero(self.splits == split.value)


@dataclass(frozen=True, eq=False)
class _Clip:
    """A clip to cut: `motion` (n, 58) and the frames of it in which the head was `seen`."""

    clip_id: str
    split: str
    video: Path
    motion: NDArray[np.float32]
    seen: NDArray[np.int64]


def expression_range(motion: NDArray[np.float32]) -> float:
    """How much the face of a clip moves: the 5th to the 95th percentile of each coefficient, averaged over those that
    the tracker sees. `motion` (n, 58) of the `frames` table; NaN where no face was seen."""
    face = motion[np.isfinite(motion[:, _ANGLES]).all(axis=1)][:, _FACE]
    face = face[:, np.isfinite(face).all(axis=0)]
    if not face.size:
        return 0.0
    low, high = np.percentile(face, [5, 95], axis=0)
    return float((high - low).mean())


def _chosen(data: TrainingSet, choice: ClipChoice) -> list[_Clip]:
    """The clips of the set, by id, as far as they fulfil the choice."""
    index = data.index.drop_duplicates("clip_id").sort_values("clip_id")
    readers: dict[str, CorpusReader] = {}
    workspace = Workspace(data.path.parent)
    lost = dict.fromkeys(("of another corpus", "of a smaller face", "of less expression", "without a head"), 0)
    found = []
    for clip, corpus, split in zip(index["clip_id"], index["corpus"], index["split"], strict=True):
        if choice.corpora and corpus not in choice.corpora:
            lost["of another corpus"] += 1
            continue
        reader = readers.setdefault(corpus, CorpusReader(workspace, corpus))
        if choice.min_native_px and _native_px(reader, clip) < choice.min_native_px:
            lost["of a smaller face"] += 1
            continue
        motion, _ = reader.motion(clip)
        seen = np.flatnonzero(np.isfinite(motion[:, _ANGLES]).all(axis=1))
        if len(seen) < _LEAST_FRAMES:
            lost["without a head"] += 1
        elif choice.min_expression and expression_range(motion) < choice.min_expression:
            lost["of less expression"] += 1
        else:
            found.append(_Clip(clip, split, reader.media(clip)[0], motion, seen))
    if not any(clip.split == Split.TRAIN for clip in found):
        _refuse(data, index, lost)
    return found


def _native_px(reader: CorpusReader, clip_id: str) -> int:
    """Side of the face crop in the raw picture; 0 where it is not known."""
    found = reader.row(clip_id)["crop_size"]
    return 0 if pd.isna(found) else int(found)


def _refuse(data: TrainingSet, index: pd.DataFrame, lost: dict[str, int]) -> None:
    said = ", ".join(f"{count} {reason}" for reason, count in lost.items() if count) or "none at all"
    raise PermanentError(
        f"{data.path}: none of {len(index)} clips is left to train on ({said}): lower facevid2vid.training.clips in "
        "the preset, or add clips"
    )


def _frames_at(video: Path, at: NDArray[np.int64], side: int) -> NDArray[np.uint8]:
    """(len(at), side, side, 3): frames of a standardized video, which is square already, brought to the size. The last
    frame stands for those that the file lacks."""
    wanted, found, last = set(at.tolist()), {}, None
    for number, frame in enumerate(read_frames(video)):
        last = frame
        if number in wanted:
            found[number] = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
    if last is None:
        raise PermanentError(f"{video}: no frame could be read: type `magictalk run` to make it again")
    end = cv2.resize(last, (side, side), interpolation=cv2.INTER_AREA)
    return np.stack([np.asarray(found.get(int(number), end), np.uint8) for number in at])
