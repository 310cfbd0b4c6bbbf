"""Methods that are no models, so that a table shows what a score is worth.

`mean_motion` holds the mean of the training motion in every frame: it knows nothing of the speech. It has no blinks, no
jumps and no correlation, and its coefficient errors are hard to beat on short clips of a quiet speaker: that is exactly
what a reader must see. `nearest_speech` copies the motion of the training frames whose speech is most alike: it
knows the speech and has learned nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split

__all__ = ["MEAN_MOTION", "NEAREST_SPEECH", "NearestSpeech", "constant_motion"]

MEAN_MOTION = "mean_motion"
NEAREST_SPEECH = "nearest_speech"
"""The method names of these baselines in the scores."""

_PIECE = 8
_BLOCK = 4096

Motion = NDArray[np.float32]


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
