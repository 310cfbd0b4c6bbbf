"""A trained sync expert as the sync gate of a training set asks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.models.sync_expert.model import SyncExpertModel, sync_scores
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.run import current_model

__all__ = ["ExpertJudge", "open_judge"]


@dataclass(frozen=True, eq=False)
class ExpertJudge:
    """`training_set.sync_gate.SpeakerJudge` by a sync expert."""

    expert: SyncExpertModel
    digest: str

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


def open_judge(path: Path) -> ExpertJudge:
    """From a model folder, or from the folder of a family's runs: its current model."""
    folder = path if (path / "model.safetensors").is_file() else current_model(path)
    return ExpertJudge(SyncExpertModel.load(folder), file_md5(folder / "model.safetensors"))
