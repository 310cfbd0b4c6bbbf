"""The residue generator, as model family."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magictalk_core.models.lip_residue.config import LipResidueSettings
from magictalk_core.training.family import ModelFamily, Models

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["LIP_RESIDUE"]


def _build(settings: LipResidueSettings, data: TrainingSet, models: Models) -> TrainingTask:
    from magictalk_core.models.audio2bs.model import Audio2BSModel
    from magictalk_core.models.lip_residue.task import ResidueTask
    from magictalk_core.models.sync_expert.model import SyncExpertModel
    from magictalk_core.training.model_folder import ModelFolder

    audio2bs = Audio2BSModel.load(models["audio2bs"])
    expert = SyncExpertModel.load(models["sync_expert"]) if settings.training.sync_weight > 0 else None
    return ResidueTask(settings, data, audio2bs, expert, ModelFolder.begun_from(models, "lip_residue"))


def _initial(init: str) -> Path:
    from magictalk_core.models.shipped.initial import initial_folder

    return initial_folder("lip_residue", init)


def _spare(settings: LipResidueSettings) -> frozenset[str]:
    """Without a share in the loss no expert is needed."""
    return frozenset(("sync_expert",)) if settings.training.sync_weight == 0 else frozenset()


LIP_RESIDUE = ModelFamily(
    name="lip_residue",
    version="2",
    description="The residue generator of section 3.3: what an emotional style adds to the neutral mouth.",
    section="lip_residue",
    build=_build,
    needs=("audio2bs", "sync_expert"),
    spare=_spare,
    initial=_initial,
)
