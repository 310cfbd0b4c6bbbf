"""The few-step student of EmoDiff, as model family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magictalk_core.models.emodiff_student.config import StudentSettings
from magictalk_core.training.family import ModelFamily, Models

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["EMODIFF_STUDENT"]


def _build(settings: StudentSettings, data: TrainingSet, models: Models) -> TrainingTask:
    from magictalk_core.models.emodiff.model import EmoDiffModel
    from magictalk_core.models.emodiff_student.task import StudentTask

    return StudentTask(settings, data, EmoDiffModel.load(models["emodiff"]))


EMODIFF_STUDENT = ModelFamily(
    name="emodiff_student",
    version="3",
    description="EmoDiff distilled into a network that takes a few evaluations per window.",
    section="emodiff_student",
    build=_build,
    needs=("emodiff",),
)
