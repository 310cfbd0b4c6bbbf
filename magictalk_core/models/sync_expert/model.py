"""A trained sync expert in use: how well the motion and the sound of a clip belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.models.sync_expert.config import SyncExpertNetworkConfig
from magictalk_core.models.sync_expert.network import SyncExpert
from magictalk_core.models.sync_expert.offsets import MAX_OFFSET, SyncScores, distances_by_offset, scores_of
from magictalk_core.training.model_folder import ModelFolder
from magictalk_core.training_set.channels import columns_of
from magictalk_core.training_set.normalizer import Normalizer

__all__ = ["SyncExpertModel", "sync_scores"]

Motion = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SyncExpertModel:
    """Weights and everything needed to use them. `names` are the channels that the expert sees."""

    folder: ModelFolder
    config: SyncExpertNetworkConfig
    names: tuple[str, ...]
    network: SyncExpert
    motion: Normalizer
    min_shift: int
    """Least frames that an off-sync window was away in training."""
    threshold: float | None
    """Confidence below which motion and speech are taken for strangers, measured on held-out clips, see `calibration`;
    None where the training had no two of them."""

    @classmethod
    def load(cls, path: Path, family: str = "sync_expert", device: str = "cpu") -> SyncExpertModel:
        """Load a model folder as training leaves it. Raises `PermanentError` when it holds another family."""
        folder = ModelFolder.open(path, (family,))
        config = SyncExpertNetworkConfig.model_validate(folder.config["network"])
        names = tuple(folder.config["names"])
        network = SyncExpert(config, len(names), folder.feature_size)
        network.load_state_dict(folder.weights())
        network.eval().requires_grad_(False).to(device)
        columns = columns_of(names, folder.channels, str(path))
        numbers = int(folder.config["min_shift"]), folder.config["threshold"]
        return cls(folder, config, names, network, folder.states.columns(columns), *numbers)

    def normal_motion(self, motion: Motion, channels: Sequence[str]) -> Tensor:
        """(L, D) in natural units, columns named by `channels` -> (L, M) normalised.

        Raises `PermanentError` for a missing channel and for frames without a face (NaN).
        """
        values = torch.tensor(motion[:, columns_of(self.names, channels, "sync expert")], dtype=torch.float32)
        if not bool(torch.isfinite(values).all()):
            raise PermanentError("sync expert: the motion has frames without a face (NaN): give a stretch without them")
        return self.motion.normal(values)

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
