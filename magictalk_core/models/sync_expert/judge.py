"""A sync expert as the sync gate of a training set asks it: a trained one, or the one that comes with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.models.sync_expert.linear import LINEAR_SYNC, LinearSync
from magictalk_core.models.sync_expert.model import SyncExpertModel, sync_scores
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.run import current_model
from magictalk_core.training_set.sync_gate import SpeakerJudge

__all__ = ["ExpertJudge", "LinearJudge", "open_judge"]


@dataclass(frozen=True, eq=False)
class ExpertJudge:
    """`training_set.sync_gate.SpeakerJudge` by a sync expert."""

    expert: SyncExpertModel
    digest: str
    method: str = "sync_expert"
    knows_strangers: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        return self.expert.names

    @property
    def threshold(self) -> float | None:
        return self.expert.threshold

    def __call__(
        self, motion: NDArray[np.float32], channels: Sequence[str], speech: NDArray[np.float32], feature_id: str
    ) -> tuple[float, float, int]:
        found = sync_scores(self.expert, motion, channels, speech, feature_id)
        return found.sync_expert_distance, found.sync_expert_confidence, found.sync_expert_offset


@dataclass(frozen=True, eq=False)
class LinearJudge:
    """The same by the expert of the package. Its confidence is a probability, its distance 1 less a correlation."""

    expert: LinearSync
    digest: str
    method: str = "linear_sync"
    knows_strangers: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return self.expert.channels

    @property
    def threshold(self) -> float | None:
        return self.expert.threshold

    def __call__(
        self, motion: NDArray[np.float32], channels: Sequence[str], speech: NDArray[np.float32], feature_id: str
    ) -> tuple[float, float, int]:
        if feature_id != self.expert.feature:
            raise PermanentError(
                f"sync gate: the expert of the package hears `{self.expert.feature}`, the clips have `{feature_id}`: "
                f"set speech.feature to {self.expert.feature}, or training_set.sync_gate.expert to an expert of your "
                "own, or to nothing"
            )
        found = self.expert.offset(motion, channels, speech)
        return 1 - found.correlation, found.confidence, found.offset


def open_judge(path: Path) -> SpeakerJudge:
    """From a model folder, from the folder of a family's runs (its current model), or from that of the package."""
    if (path / LINEAR_SYNC).is_file():
        return LinearJudge(LinearSync.load(path / LINEAR_SYNC), file_md5(path / LINEAR_SYNC))
    folder = path if (path / "model.safetensors").is_file() else current_model(path)
    return ExpertJudge(SyncExpertModel.load(folder), file_md5(folder / "model.safetensors"))
