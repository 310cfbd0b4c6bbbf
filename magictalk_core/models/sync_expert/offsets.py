"""How well motion and speech fit at every shift: the curve that distance, confidence and offset are read from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from magictalk_core.errors import PermanentError

__all__ = ["MAX_OFFSET", "SyncScores", "distances_by_offset", "scores_of"]

MAX_OFFSET = 15
"""Frames to either side, as SyncNet's evaluation slides."""
_LEAST_OVERLAP = 5


@dataclass(frozen=True)
class SyncScores:
    """What the project's own expert says of one clip; not comparable with LSE-D and LSE-C of SyncNet.

    `sync_expert_distance`: 1 - cosine, mean over the windows, at the best shift: 0 to 1, lower is better.
    `sync_expert_confidence`: median distance over the shifts less the best one: higher is better, 0 is no preference.
    `sync_expert_offset`: the best shift in frames; positive when the mouth comes later than the sound.
    """

    sync_expert_distance: float
    sync_expert_confidence: float
    sync_expert_offset: int


def distances_by_offset(motion: Tensor, speech: Tensor, limit: int = MAX_OFFSET) -> dict[int, float]:
    """Shift in frames -> mean distance of the windows that overlap: motion window n against speech window n - shift.

    motion and speech (W, E) unit vectors of the windows of one clip. A clip too short for `limit` is slid less far.
    Raises `PermanentError` for a clip with fewer than 6 windows.
    """
    windows = min(len(motion), len(speech))
    limit = min(limit, windows - _LEAST_OVERLAP)
    if limit < 1:
        raise PermanentError(f"sync scores: expected at least {_LEAST_OVERLAP + 1} windows in a clip, found {windows}")
    motion, speech = motion[:windows], speech[:windows]
    # Pair by pair and not all against all: the whole matrix of a clip of ten minutes takes 0.9 GB, these take 4 MB.
    return {s: 1 - _cosine(motion[max(0, s) :], speech[max(0, -s) :]) for s in range(-limit, limit + 1)}


def _cosine(motion: Tensor, speech: Tensor) -> float:
    """Mean over the windows that both have."""
    pairs = min(len(motion), len(speech))
    return float(torch.linalg.vecdot(motion[:pairs], speech[:pairs]).mean())


def scores_of(distances: dict[int, float]) -> SyncScores:
    """The best shift; of equal ones the smallest."""
    offset = min(distances, key=lambda s: (distances[s], abs(s)))
    middle = float(torch.tensor(list(distances.values())).median())
    return SyncScores(distances[offset], middle - distances[offset], offset)
