"""Audio2BS, as model family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magictalk_core.models.audio2bs.config import Audio2BSSettings
from magictalk_core.training.family import ModelFamily, Models

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["AUDIO2BS"]


def _build(settings: Audio2BSSettings, data: TrainingSet, models: Models) -> TrainingTask:
    from magictalk_core.models.audio2bs.task import Audio2BSTask

    return Audio2BSTask(settings, data)


AUDIO2BS = ModelFamily(
    name="audio2bs",
    version="2",
    description="Audio2BS of section 3.3: neutral mouth weights from speech.",
    section="audio2bs",
    build=_build,
)
