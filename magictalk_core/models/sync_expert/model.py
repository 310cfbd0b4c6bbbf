"""A trained sync expert in use: scores of a clip, and whether its picture and its sound belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.config import LipSyncConfig
from magictalk_core.errors import PermanentError
from magictalk_core.models.shared.channels import columns_of
from magictalk_core.models.shared.model_folder import LipFolder
from magictalk_core.models.sync_expert.network import SyncExpert
from magictalk_core.models.sync_expert.offsets import MAX_OFFSET, SyncScores, distances_by_offset, scores_of

__all__ = ["SpeakerMatch", "SyncExpertModel", "speaker_mismatch", "sync_scores"]

Motion = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SyncExpertModel:
    """Weights and everything needed to use them. `names` are the channels that the expert sees."""

    folder: LipFolder
    config: LipSyncConfig
    names: tuple[str, ...]
    network: SyncExpert
    mean: Tensor
    std: Tensor
    threshold: float
    """Confidence below which motion and speech are taken for strangers; measured on held-out clips, see `calibrate`."""

    @classmethod
    def load(cls, path: Path, family: str = "lip_sync_expert", device: str = "cpu") -> SyncExpertModel:
        """Load a model folder as training leaves it. Raises `PermanentError` when it holds another family."""
        folder = LipFolder.open(path, family)
        config = LipSyncConfig.model_validate(folder.config["lip_sync"])
        names = tuple(folder.config["names"])
        network = SyncExpert(config, len(names), folder.feature_size)
        network.load_state_dict(folder.weights())
        network.eval().requires_grad_(False).to(device)
        columns = columns_of(names, folder.channels, str(path))
        return cls(
            folder, config, names, network, folder.mean[columns], folder.std[columns], folder.config["threshold"]
        )

    def normal_motion(self, motion: Motion, channels: Sequence[str]) -> Tensor:
        """(L, D) in natural units, columns named by `channels` -> (L, M) normalised.

        Raises `PermanentError` for a missing channel and for frames without a face (NaN).
        """
        values = torch.tensor(motion[:, columns_of(self.names, channels, "sync expert")], dtype=torch.float32)
        if not bool(torch.isfinite(values).all()):
            raise PermanentError("sync expert: the motion has frames without a face (NaN): give a stretch without them")
        return (values - self.mean) / self.std

    def embed(self, motion: Tensor, speech: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised motion (..., N, M) and speech (..., N, F) -> unit vectors (..., N - frames + 1, E) of all windows.

        Differentiable with respect to the motion. Empty when N is below `config.frames`.
        """
        device, frames = next(self.network.parameters()).device, self.config.frames
        if motion.shape[-2] < frames:
            raise PermanentError(f"sync expert: expected at least {frames} frames, found {motion.shape[-2]}")
        moved, heard = (v.to(device).unfold(-2, frames, 1).transpose(-1, -2) for v in (motion, speech))
        outputs = self.network(moved.flatten(0, -3), heard.flatten(0, -3))
        first, second = (out.unflatten(0, moved.shape[:-2]) for out in outputs)
        return first, second


def sync_scores(
    expert: SyncExpertModel, motion: Motion, channels: Sequence[str], speech: Motion, feature_id: str
) -> SyncScores:
    """Distance, confidence and offset of one clip, slid over -15..+15 frames.

    motion (L, D) in natural units with columns named by `channels`, speech (L, F) of the features `feature_id`; the
    longer one is cut. Raises `PermanentError` for features other than the expert's, missing channels, lost frames and
    clips that are too short.
    """
    return scores_of(_distances(expert, motion, channels, speech, feature_id))


@torch.no_grad()
def _distances(
    expert: SyncExpertModel, motion: Motion, channels: Sequence[str], speech: Motion, feature_id: str
) -> dict[int, float]:
    if feature_id != expert.folder.feature_id:
        raise PermanentError(
            f"sync expert: trained on features `{expert.folder.feature_id}`, the clip has `{feature_id}`: train the "
            "expert again, or set speech.feature in the preset"
        )
    n = min(len(motion), len(speech))
    normal = expert.normal_motion(motion[:n], channels)
    moved, heard = expert.embed(normal, expert.folder.normal_speech(speech[:n]))
    return distances_by_offset(moved.cpu(), heard.cpu(), MAX_OFFSET)


@dataclass(frozen=True)
class SpeakerMatch:
    """`matched`: in sync; `shifted`: in sync at another offset, which can be corrected; `mismatch`: at none."""

    verdict: Literal["matched", "shifted", "mismatch"]
    scores: SyncScores
    threshold: float


def speaker_mismatch(
    expert: SyncExpertModel,
    motion: Motion,
    channels: Sequence[str],
    speech: Motion,
    feature_id: str,
    threshold: float | None = None,
    tolerance: int = 2,
) -> SpeakerMatch:
    """Whether the face of a clip is the speaker that is heard.

    A confidence below `threshold` (None: the one that the expert found on its held-out clips) is a mismatch: no shift
    fits better than the others. Otherwise an offset of more than `tolerance` frames is a shift. Arguments and errors
    as in `sync_scores`.
    """
    scores = sync_scores(expert, motion, channels, speech, feature_id)
    least = expert.threshold if threshold is None else threshold
    verdict: Literal["matched", "shifted", "mismatch"] = "matched"
    if scores.sync_expert_confidence < least:
        verdict = "mismatch"
    elif abs(scores.sync_expert_offset) > tolerance:
        verdict = "shifted"
    return SpeakerMatch(verdict, scores, least)
