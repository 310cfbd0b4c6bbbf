"""Every model family that can be trained: its version, its settings, what it is trained from, and its task.

Light to import: networks and torch are loaded when a task is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magictalk_core.config import EmoDiffConfig, Preset, StrictModel, TrainingConfig
from magictalk_core.errors import UserError

if TYPE_CHECKING:
    from magictalk_core.training.dataset import TrainingSet
    from magictalk_core.training.task import TrainingTask

__all__ = ["FAMILIES", "ModelFamily", "family_named"]

Models = Mapping[str, Path]
"""Family -> folder of its trained model."""


@dataclass(frozen=True)
class ModelFamily:
    """One family.

    `version` is bumped when the same data and settings would train another model. `settings` are all the settings that
    its training reads, by their names in the preset. `needs` are families whose trained models it learns from.
    """

    version: str
    description: str
    training: Callable[[Preset], TrainingConfig]
    settings: Callable[[Preset], dict[str, StrictModel]]
    build: Callable[[Preset, TrainingSet, Models], TrainingTask]
    needs: tuple[str, ...] = ()


def _emodiff(preset: Preset, data: TrainingSet, models: Models) -> Any:
    from magictalk_core.emodiff.task import EmoDiffTask

    return EmoDiffTask(preset, data)


def without_style(preset: Preset) -> Preset:
    """The same preset for the ablation without style embedding."""
    emodiff: EmoDiffConfig = preset.emodiff.model_copy(update={"style": "none"})
    return preset.model_copy(update={"emodiff": emodiff})


def _no_style(preset: Preset, data: TrainingSet, models: Models) -> Any:
    return _emodiff(without_style(preset), data, models)


def _student(preset: Preset, data: TrainingSet, models: Models) -> Any:
    from magictalk_core.emodiff.generate import EmoDiffModel
    from magictalk_core.emodiff.student import StudentTask

    return StudentTask(preset, data, EmoDiffModel.load(models["emodiff"]))


FAMILIES: dict[str, ModelFamily] = {
    "emodiff": ModelFamily(
        "4",
        "EmoDiff, the diffusion model of section 3.2: motion from speech and style.",
        lambda preset: preset.emodiff_training,
        lambda preset: {"emodiff": preset.emodiff, "emodiff_training": preset.emodiff_training},
        _emodiff,
    ),
    "emodiff_no_style": ModelFamily(
        "1",
        "The ablation of EmoDiff without style embedding: the same network, never shown a style frame.",
        lambda preset: preset.emodiff_training,
        lambda preset: {"emodiff": without_style(preset).emodiff, "emodiff_training": preset.emodiff_training},
        _no_style,
    ),
    "emodiff_student": ModelFamily(
        "1",
        "EmoDiff distilled into a network that takes a few evaluations per window.",
        lambda preset: preset.student_training,
        lambda preset: {"student": preset.student, "student_training": preset.student_training},
        _student,
        needs=("emodiff",),
    ),
}


def family_named(name: str) -> ModelFamily:
    if name not in FAMILIES:
        raise UserError(f"no model family `{name}`; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]
