"""The sync gate of the training set: clips whose face does not move with the voice.

The expert judges the clips that the next one learns from, so it comes from outside of the run: a model folder of an
earlier run, named in the preset. No training set then depends on itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.config import SyncGateConfig
from magictalk_core.errors import UserError
from magictalk_core.evaluation.sync_scores import longest_measured
from magictalk_core.models.sync_expert.model import SyncExpertModel, speaker_mismatch
from magictalk_core.storage.hashes import tree_md5
from magictalk_core.training.run import current_model
from magictalk_core.training_set.build import ClipSync
from magictalk_core.vocabulary.arkit import MOTION_NAMES

__all__ = ["SyncGate"]

Motion = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SyncGate:
    """Judges clips one by one, as `SyncGateConfig` says."""

    config: SyncGateConfig
    expert: SyncExpertModel
    digest: str
    """md5 of the expert's model folder: it goes into the training set's info."""

    @classmethod
    def load(cls, config: SyncGateConfig) -> SyncGate:
        """Raises `UserError` when the preset names no expert that is there."""
        path = Path(config.expert).expanduser()
        if not path.is_dir():
            raise UserError(
                f"training_set.sync_gate.expert: no folder {path}: name models/lip_sync_expert of an earlier run, or "
                "leave it empty for no gate"
            )
        folder = path if (path / "model.safetensors").is_file() else current_model(path)
        return cls(config, SyncExpertModel.load(folder), tree_md5(folder))

    def __call__(self, motion: Motion, speech: Motion, feature_id: str) -> ClipSync:
        """motion (n, 58) in MOTION_NAMES order with NaN where no face was, speech (n, F) -> what to do with the clip.

        Of a motion with gaps the longest stretch between them is judged; a clip too short to slide stays, unjudged.
        Raises `PermanentError` for features other than the expert's.
        """
        n = min(len(motion), len(speech))
        part = longest_measured(motion[:n, [MOTION_NAMES.index(name) for name in self.expert.names]])
        if part.stop - part.start < self.config.least_frames:
            return ClipSync("unjudged", True, 0, None, None, None)
        limit, tolerance = self.config.threshold, self.config.tolerance
        found = speaker_mismatch(self.expert, motion[part], MOTION_NAMES, speech[part], feature_id, limit, tolerance)
        corrected = self.config.action == "correct" and found.verdict == "shifted"
        kept = self.config.action == "report" or corrected or found.verdict == "matched"
        offset = found.scores.sync_expert_offset
        shift = offset if corrected else 0
        distance, confidence = found.scores.sync_expert_distance, found.scores.sync_expert_confidence
        return ClipSync(found.verdict, kept, shift, offset, distance, confidence)
