"""LSE-D, LSE-C and the offset: how well two series of embeddings fit while one slides along the other.

The protocol of SyncNet's evaluation (joonson/syncnet_python, SyncNetInstance.py; Rudrabha/Wav2Lip,
evaluation/scores_LSE), which pads the sound with zeros: short clips are biased by that, as they are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError

__all__ = ["MAX_SHIFT", "SyncScore", "sync_score"]

MAX_SHIFT = 15
"""Frames to either side."""
_EPSILON = 1e-6
"""Added to every difference, as torch's `pairwise_distance` does."""


@dataclass(frozen=True)
class SyncScore:
    """`distance`: LSE-D, of the best shift, lower is better. `confidence`: LSE-C, the median over the 31 shifts less
    the best, higher is better. `offset` in frames of the best shift: positive when the mouth is late. The best shift is
    searched, so a constant delay costs nothing: read |offset| beside the two."""

    distance: float
    confidence: float
    offset: int


def sync_score(video_embeddings: NDArray[Any], audio_embeddings: NDArray[Any]) -> SyncScore:
    """Of the windows of one clip, row i of both the same moment: (w, d) each, not normalised.

    Raises `PermanentError` for other shapes, and for no window at all.
    """
    video, audio = np.asarray(video_embeddings, np.float64), np.asarray(audio_embeddings, np.float64)
    if video.ndim != 2 or video.shape != audio.shape or not len(video):
        raise PermanentError(f"sync score: expected two arrays (w, d), w >= 1, found {video.shape} and {audio.shape}")
    padded = np.pad(audio, ((MAX_SHIFT, MAX_SHIFT), (0, 0)))
    shifts = range(2 * MAX_SHIFT + 1)
    means = [np.linalg.norm(video - padded[k : k + len(video)] + _EPSILON, axis=1).mean() for k in shifts]
    best = int(np.argmin(means))
    return SyncScore(float(means[best]), float(np.median(means) - means[best]), MAX_SHIFT - best)
