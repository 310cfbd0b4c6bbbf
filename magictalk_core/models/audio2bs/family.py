"""Audio2BS, as model family."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magictalk_core.models.audio2bs.config import Audio2BSSettings
from magictalk_core.training.family import ModelFamily, Models

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["AUDIO2BS"]


def _build(settings: Audio2BSSettings, data: TrainingSet, models: Models) -> TrainingTask:
    from magictalk_core.models.audio2bs.task import Audio2BSTask
    from magictalk_core.training.model_folder import ModelFolder

    return Audio2BSTask(settings, data, ModelFolder.begun_from(models, "audio2bs"))


def _initial(init: str) -> Path:
    from magictalk_core.models.shipped.initial import initial_folder

    return initial_folder("audio2bs", init)


AUDIO2BS = ModelFamily(
    name="audio2bs",
    version="2",
    description="Audio2BS of section 3.3: neutral mouth weights from speech.",
    section="audio2bs",
    build=_build,
    initial=_initial,
    free_of_layout=frozenset(("base_components", "base_ridge")),
)
