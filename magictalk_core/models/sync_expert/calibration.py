"""The confidence at which a sync expert tells a clip's own speech from another's."""

from __future__ import annotations

import torch
from torch import Tensor

from magictalk_core.models.sync_expert.offsets import MAX_OFFSET, distances_by_offset, scores_of

__all__ = ["best_threshold", "confidences"]

_LEAST_WINDOWS = 20


def confidences(motion: list[Tensor], speech: list[Tensor]) -> tuple[list[float], list[float]]:
    """(own, strange): the confidence of each clip with its own speech, and with that of the next clip.

    motion, speech: (W, E) unit vectors per clip. Clips of fewer than 20 windows are left out: too short to slide.
    """
    long = [i for i in range(len(motion)) if len(motion[i]) >= _LEAST_WINDOWS]
    own = [_confidence(motion[i], speech[i]) for i in long]
    strange = [_confidence(motion[i], speech[j]) for i, j in zip(long, long[1:] + long[:1], strict=True) if i != j]
    return own, strange


def _confidence(motion: Tensor, speech: Tensor) -> float:
    n = min(len(motion), len(speech))
    return scores_of(distances_by_offset(motion[:n], speech[:n], MAX_OFFSET)).sync_expert_confidence


def best_threshold(own: list[float], strange: list[float]) -> float | None:
    """The threshold that calls fewest clips wrong, in the middle of the best interval; None where nothing tells it.

    own: confidences of true pairs, which should lie above; strange: of swapped ones, which should lie below.
    """
    if not own or not strange:
        return None
    values = torch.tensor(sorted({*own, *strange}), dtype=torch.float64)
    middles = (values[1:] + values[:-1]) / 2
    if not len(middles):
        return None
    wrong = torch.tensor([sum(c < m for c in own) + sum(c >= m for c in strange) for m in middles.tolist()])
    best = middles[wrong == wrong.min()]
    return float((best[0] + best[-1]) / 2)
