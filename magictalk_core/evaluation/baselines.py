"""Methods that are no models, so that a table shows what a score is worth.

| method | knows the speech | knows the style | has learned |
|---|---|---|---|
| `mean_motion` | no | no | the mean of the training motion, held |
| `nearest_speech` | yes | no | nothing: copies the training frames whose speech is most alike |
| `style_mean` | no | yes | nothing: the mean of the style clip, held; its head does not move, its eyes do not blink |
| `style_replay` | no | yes | nothing: the style clip again and again, whatever is said |
| `loudness` | how loud it is | yes | how far a mouth opens per decibel, about the mean of the style |
| `kernel_ridge` | yes | yes | a kernel regression about the mean of the style |

`loudness` and `kernel_ridge` move about the style's mean as a network does, and get what follows the network, where
the preset asks for it, as well: a head of the portrait's own, drawn blinks, a mouth that rests in a pause
(`models/emodiff/finish.py`). What is left between them and EmoDiff is what EmoDiff has learned.

Each of them is perfect in something: replay moves like a person, a still face shows the emotion it was asked for. A
number in which a method does not beat all of them is not why anyone would train it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.evaluation.kernel_ridge import KernelRidge
from magictalk_core.evaluation.loudness_mouth import Loudness, LoudnessMouth
from magictalk_core.media.decode import read_audio
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.speech.loudness import frame_loudness
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.arkit import POSE_NAMES
from magictalk_core.vocabulary.clips import Split
from magictalk_core.workspace import Workspace

__all__ = [
    "BASELINES",
    "KERNEL_RIDGE",
    "LOUDNESS",
    "MEAN_MOTION",
    "NEAREST_SPEECH",
    "STYLE_MEAN",
    "STYLE_REPLAY",
    "Baselines",
    "Finish",
    "LoudnessReader",
    "NearestSpeech",
    "constant_motion",
]

MEAN_MOTION, NEAREST_SPEECH = "mean_motion", "nearest_speech"
LOUDNESS, STYLE_MEAN, STYLE_REPLAY, KERNEL_RIDGE = "loudness", "style_mean", "style_replay", "kernel_ridge"
"""The method names of these baselines in the scores."""

BASELINES = (LOUDNESS, STYLE_MEAN, STYLE_REPLAY, KERNEL_RIDGE, NEAREST_SPEECH, MEAN_MOTION)
_FINISHED = (LOUDNESS, KERNEL_RIDGE)

_PIECE = 8
_BLOCK = 4096

Motion = NDArray[np.float32]
Finish = Callable[[Motion], Motion]
"""What follows a network: motion (L, D) of one performance to as many frames."""


def constant_motion(row: NDArray[Any], n_frames: int) -> Motion:
    """`row` of shape (D,) held for `n_frames` frames: shape (n_frames, D)."""
    return np.repeat(np.asarray(row, dtype=np.float32)[None, :], n_frames, axis=0)


@dataclass(frozen=True, eq=False)
class NearestSpeech:
    """Pieces of 8 frames of the training split: `keys` (m, 8 F) normalised speech, `starts` (m,) into `states`."""

    keys: Motion
    starts: NDArray[np.int64]
    states: Motion
    mean: Motion
    std: Motion

    @classmethod
    def fit(cls, data: TrainingSet) -> NearestSpeech:
        """Every piece of every training segment, at every second frame."""
        numbers = data.normalizer["features"]
        mean, std = (np.array(numbers[k], np.float32) for k in ("mean", "std"))
        rows = data.spoken[data.spoken["split"] == Split.TRAIN]
        spans = zip(rows["start"].tolist(), rows["length"].tolist(), strict=True)
        starts = np.concatenate([np.arange(start, start + n - _PIECE + 1, 2) for start, n in spans])
        features = (np.asarray(data.features) - mean) / std
        keys = features[starts[:, None] + np.arange(_PIECE)].reshape(len(starts), -1)
        return cls(keys.astype(np.float32), starts, np.asarray(data.states), mean, std)

    def motion(self, speech: Motion) -> Motion:
        """(L, D) in the training set's channels for speech features (L, F); beyond the end the last one is repeated."""
        length = len(speech)
        pieces = -(-length // _PIECE)
        at = np.minimum(np.arange(pieces * _PIECE), length - 1)
        asked = (((speech - self.mean) / self.std)[at]).reshape(pieces, -1)
        nearest = [self._nearest(piece) for piece in asked]
        found = np.concatenate([self.states[start : start + _PIECE] for start in nearest])
        return np.asarray(found[:length], np.float32)

    def _nearest(self, piece: Motion) -> int:
        best, where = np.inf, 0
        for first in range(0, len(self.keys), _BLOCK):
            distances = ((self.keys[first : first + _BLOCK] - piece) ** 2).sum(axis=1)
            i = int(distances.argmin())
            if distances[i] < best:
                best, where = float(distances[i]), int(self.starts[first + i])
        return where


@dataclass
class LoudnessReader:
    """Clip id -> (n,) dB of every frame, read from the sound of the clips of a workspace."""

    workspace: Workspace

    def __post_init__(self) -> None:
        self._readers: dict[str, CorpusReader] = {}

    def __call__(self, clip_id: str) -> NDArray[np.float64]:
        """Raises `PermanentError` for a clip that is not there."""
        corpus = clip_id.split("/")[0]
        reader = self._readers.setdefault(corpus, CorpusReader(self.workspace, corpus))
        _, sound = reader.media(clip_id)
        frames = len(reader.motion(clip_id)[0])
        return frame_loudness(np.zeros(0, np.float32) if sound is None else read_audio(sound), frames)


@dataclass(frozen=True, eq=False)
class Baselines:
    """All of `BASELINES`, fitted; `mean` (D,) of the training motion. What they make has the columns `channels`."""

    channels: tuple[str, ...]
    mean: NDArray[np.float32]
    nearest: NearestSpeech
    mouth: LoudnessMouth
    ridge: KernelRidge

    @classmethod
    def fit(cls, data: TrainingSet, loudness: Loudness) -> Baselines:
        """Of the training split, with settings that the validation split chooses."""
        mean = np.array(data.normalizer["states"]["mean"], np.float32)
        mouth, ridge = LoudnessMouth.fit(data, loudness), KernelRidge.fit(data)
        return cls(data.channels, mean, NearestSpeech.fit(data), mouth, ridge)

    def motions(
        self, speech: Motion, style: Motion, loudness: NDArray[np.float64], finish: Finish | None = None
    ) -> dict[str, Motion]:
        """Method -> `motion` of every one of them."""
        return {method: self.motion(method, speech, style, loudness, finish) for method in BASELINES}

    def motion(
        self, method: str, speech: Motion, style: Motion, loudness: NDArray[np.float64], finish: Finish | None = None
    ) -> Motion:
        """(L, D) for speech (L, F), style (k, D) without a lost frame, and the loudness (L,) of the voice. `finish` is
        applied to those that move as a network does."""
        level, length = style.mean(axis=0), len(speech)
        makers: dict[str, Callable[[], Motion]] = {
            LOUDNESS: lambda: self._shaped(level + self.mouth.movement(loudness)),
            KERNEL_RIDGE: lambda: self._shaped(level + self.ridge.movement(speech)),
            STYLE_MEAN: lambda: constant_motion(level, length),
            STYLE_REPLAY: lambda: np.asarray(style[np.arange(length) % len(style)], np.float32),
            NEAREST_SPEECH: lambda: self.nearest.motion(speech),
            MEAN_MOTION: lambda: constant_motion(self.mean, length),
        }
        made = makers[method]()
        return finish(made) if finish is not None and method in _FINISHED else made

    def _shaped(self, motion: NDArray[np.float64]) -> Motion:
        """Coefficients within 0 and 1; the head pose as it is."""
        pose = np.array([name in POSE_NAMES for name in self.channels])
        return np.where(pose, motion, motion.clip(0, 1)).astype(np.float32)

    def facts(self) -> dict[str, Any]:
        """The settings that the validation speakers chose, for the metadata of a table."""
        return {LOUDNESS: self.mouth.settings.facts(), KERNEL_RIDGE: self.ridge.settings.facts()}
