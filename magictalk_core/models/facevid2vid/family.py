"""Face-vid2vid, as model family."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magictalk_core.errors import UserError
from magictalk_core.models.facevid2vid.training_config import FaceVid2VidSettings
from magictalk_core.training.family import ModelFamily, Models

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["FACEVID2VID"]


def _build(settings: FaceVid2VidSettings, data: TrainingSet, models: Models) -> TrainingTask:
    from magictalk_core.models.facevid2vid.task import FaceVid2VidTask

    return FaceVid2VidTask(settings, data)


def _weights_file(settings: FaceVid2VidSettings) -> Path | None:
    path = settings.training.weights_from
    if path and not Path(path).is_file():
        raise UserError(f"facevid2vid.training.weights_from: no file {path}: leave it empty to begin from chance")
    return Path(path) if path else None


FACEVID2VID = ModelFamily(
    name="facevid2vid",
    version="1",
    description="Face-vid2vid: a portrait that moves as a driving face does, by keypoints in space.",
    section="facevid2vid",
    build=_build,
    weights_file=_weights_file,
    by_hand=True,
)
