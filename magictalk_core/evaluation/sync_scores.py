"""What the project's sync experts say of a motion, and how good an expert itself is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.metrics.sync_pairs import pair_accuracies, pair_auc
from magictalk_core.models.sync_expert.family import SYNC_JUDGES
from magictalk_core.models.sync_expert.model import SyncExpertModel, sync_scores
from magictalk_core.models.sync_expert.offsets import MAX_OFFSET, distances_by_offset, scores_of
from magictalk_core.training.run import current_model
from magictalk_core.training_set.gaps import longest_measured
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.workspace import Workspace

__all__ = [
    "JUDGE_METRICS",
    "QUALITY_METRICS",
    "SYNC_METRICS",
    "ExpertQuality",
    "HeldOutClip",
    "clip_quality",
    "expert_quality",
    "judge_folders",
    "judged_sync",
    "load_judges",
    "sync_values",
]

SYNC_METRICS = ("sync_expert_distance", "sync_expert_confidence", "sync_expert_offset_error")
"""Of the expert that lip refinement was trained to please."""

JUDGE_METRICS = ("sync_judge_distance", "sync_judge_confidence", "sync_judge_offset_error")
"""The same of experts that it never saw, the mean over them."""

QUALITY_METRICS = ("sync_pair_accuracy", "sync_shifts_found")
"""What an expert is compared with another one in."""

_TOLERANCE = 1
"""Frames by which a found shift may be wrong."""

_STILL = 1e-6

Motion = NDArray[Any]


def sync_values(expert: SyncExpertModel, motion: Motion, speech: Motion, feature_id: str) -> dict[str, float | None]:
    """SYNC_METRICS of motion (L, 58) with its speech (L, F); None for a clip too short to slide.

    Of a motion with gaps the longest stretch between them counts. A mouth that does not move fits at no shift: its
    offset has no value. Raises `PermanentError` for other features than the expert's.
    """
    n = min(len(motion), len(speech))
    part = longest_measured(motion[:n, [MOTION_NAMES.index(name) for name in expert.names]])
    if part.stop - part.start < expert.config.frames + 6:
        return dict.fromkeys(SYNC_METRICS)
    found = sync_scores(expert, np.asarray(motion[part], np.float32), MOTION_NAMES, speech[part], feature_id)
    moves = float(np.ptp(motion[part][:, [MOTION_NAMES.index(name) for name in expert.names]], axis=0).max()) > _STILL
    return {
        "sync_expert_distance": found.sync_expert_distance,
        "sync_expert_confidence": found.sync_expert_confidence,
        "sync_expert_offset_error": float(abs(found.sync_expert_offset)) if moves else None,
    }


def judge_folders(workspace: Workspace) -> dict[str, Path]:
    """Family -> model folder of the judges of sync."""
    return {family.name: current_model(workspace.models(family.name)) for family in SYNC_JUDGES}


def load_judges(folders: Mapping[str, Path]) -> tuple[SyncExpertModel, ...]:
    return tuple(SyncExpertModel.load(folder, name) for name, folder in folders.items())


def judged_sync(
    judges: Sequence[SyncExpertModel], motion: Motion, speech: Motion, feature_id: str
) -> dict[str, float | None]:
    """JUDGE_METRICS: the mean of `sync_values` over the judges; None where they have none."""
    found = [list(sync_values(judge, motion, speech, feature_id).values()) for judge in judges]
    means = [None if None in column else float(np.mean(column)) for column in zip(*found, strict=True)]
    return dict(zip(JUDGE_METRICS, means, strict=True))


@dataclass(frozen=True, eq=False)
class HeldOutClip:
    """Tracked motion (L, 58) and speech (L, F) of one clip."""

    motion: Motion
    speech: Motion


@dataclass(frozen=True)
class ExpertQuality:
    """`accuracy`: how often the own speech fits better than speech of the same clip, at least `min_shift` frames away.

    `auc`: of all windows in sync against all that are not, over all clips. `shifts_found`: share of (clip, shift) with
    a shift in -15..+15 frames that is found within one frame.
    """

    accuracy: float
    auc: float
    shifts_found: float
    clips: int


@torch.no_grad()
def expert_quality(expert: SyncExpertModel, clips: Sequence[HeldOutClip]) -> ExpertQuality:
    """On held-out clips. Raises `PermanentError` when none is long enough for windows out of sync and shifts."""
    embedded = [pair for pair in (_embedded(expert, clip) for clip in clips) if pair is not None]
    if not embedded:
        raise PermanentError(f"sync expert: no held-out clip has {_least(expert)} frames in a row without a gap")
    pairs = [(moved.numpy(), heard.numpy()) for moved, heard in embedded]
    shifts = range(-MAX_OFFSET, MAX_OFFSET + 1)
    found = [_is_found(moved, heard, shift) for moved, heard in embedded for shift in shifts]
    return ExpertQuality(
        float(np.mean(pair_accuracies(pairs, expert.min_shift))),
        pair_auc(pairs, expert.min_shift),
        float(np.mean(found)),
        len(embedded),
    )


@torch.no_grad()
def clip_quality(expert: SyncExpertModel, clip: HeldOutClip) -> dict[str, float | None]:
    """QUALITY_METRICS of one held-out clip: `accuracy` and `shifts_found` of `ExpertQuality`, for it alone; None for a
    clip that is too short."""
    pair = _embedded(expert, clip)
    if pair is None:
        return dict.fromkeys(QUALITY_METRICS)
    moved, heard = pair[0].numpy(), pair[1].numpy()
    accuracy = pair_accuracies([(moved, heard)], expert.min_shift)[0]
    found = [_is_found(*pair, shift) for shift in range(-MAX_OFFSET, MAX_OFFSET + 1)]
    values = None if np.isnan(accuracy) else accuracy, float(np.mean(found))
    return dict(zip(QUALITY_METRICS, values, strict=True))


def _least(expert: SyncExpertModel) -> int:
    """So that 16 windows still overlap at the largest shift."""
    return expert.config.frames + 2 * MAX_OFFSET


def _embedded(expert: SyncExpertModel, clip: HeldOutClip) -> tuple[torch.Tensor, torch.Tensor] | None:
    n = min(len(clip.motion), len(clip.speech))
    part = longest_measured(clip.motion[:n, [MOTION_NAMES.index(name) for name in expert.names]])
    if part.stop - part.start < _least(expert):
        return None
    normal = expert.normal_motion(np.asarray(clip.motion[part], np.float32), MOTION_NAMES)
    moved, heard = expert.embed(normal, expert.folder.normal_speech(clip.speech[part]))
    return moved.cpu(), heard.cpu()


def _is_found(moved: torch.Tensor, heard: torch.Tensor, shift: int) -> bool:
    """Whether the mouth made `shift` frames late, by cutting the clip on both sides, is seen so."""
    n = len(moved) - abs(shift)
    late, early = max(0, -shift), max(0, shift)
    scores = scores_of(distances_by_offset(moved[late : late + n], heard[early : early + n], MAX_OFFSET))
    return abs(scores.sync_expert_offset - shift) <= _TOLERANCE
