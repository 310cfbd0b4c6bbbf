"""The project's own Emotion-FAN, as model family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magictalk_core.models.emotion_fan.config import EmotionFanSettings
from magictalk_core.training.family import ModelFamily, Models

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["EMOTION_FAN"]


def _build(settings: EmotionFanSettings, data: TrainingSet, models: Models) -> TrainingTask:
    from magictalk_core.models.emotion_fan.task import EmotionFanTask

    return EmotionFanTask(settings, data)


EMOTION_FAN = ModelFamily(
    name="emotion_fan",
    version="1",
    description="The project's own Emotion-FAN: which of eight emotions a face in a video shows. A judge of pictures.",
    section="emotion_fan",
    build=_build,
)
