"""Every model family that can be trained: its version, its settings, what it is trained from, and its task.

Light to import: networks and torch are loaded when a task is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magictalk_core.config import EmoDiffConfig, LipSyncConfig, Preset, StrictModel, TrainingConfig
from magictalk_core.errors import UserError

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

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
    from magictalk_core.models.emodiff.task import EmoDiffTask

    return EmoDiffTask(preset, data)


def without_style(preset: Preset) -> Preset:
    """The same preset for the ablation without style embedding."""
    emodiff: EmoDiffConfig = preset.emodiff.model_copy(update={"style": "none"})
    return preset.model_copy(update={"emodiff": emodiff})


def _no_style(preset: Preset, data: TrainingSet, models: Models) -> Any:
    return _emodiff(without_style(preset), data, models)


def _student(preset: Preset, data: TrainingSet, models: Models) -> Any:
    from magictalk_core.models.emodiff.generate import EmoDiffModel
    from magictalk_core.models.emodiff_student.student import StudentTask

    return StudentTask(preset, data, EmoDiffModel.load(models["emodiff"]))


def _expert(preset: Preset, data: TrainingSet, models: Models) -> Any:
    from magictalk_core.models.sync_expert.task import SyncExpertTask

    return SyncExpertTask("lip_sync_expert", preset.lip_sync, preset.lip_sync_training, data)


def of_all_channels(preset: Preset) -> LipSyncConfig:
    """The sync expert of the ablation without separated mouth parameters: it sees every blendshape."""
    config: LipSyncConfig = preset.lip_sync.model_copy(update={"channels": "all"})
    return config


def _expert_of_all_channels(preset: Preset, data: TrainingSet, models: Models) -> Any:
    from magictalk_core.models.sync_expert.task import SyncExpertTask

    config = of_all_channels(preset)
    return SyncExpertTask("lip_sync_expert_all_channels", config, preset.lip_sync_training, data)


def _audio2bs(preset: Preset, data: TrainingSet, models: Models) -> Any:
    from magictalk_core.models.audio2bs.task import Audio2BSTask

    return Audio2BSTask(preset.lips, preset.audio2bs_training, data)


def _lip_residue(preset: Preset, data: TrainingSet, models: Models) -> Any:
    from magictalk_core.models.audio2bs.model import Audio2BSModel
    from magictalk_core.models.lip_residue.task import ResidueTask
    from magictalk_core.models.sync_expert.model import SyncExpertModel

    audio2bs, expert = Audio2BSModel.load(models["audio2bs"]), SyncExpertModel.load(models["lip_sync_expert"])
    return ResidueTask(preset.lips, preset.lip_residue_training, data, audio2bs, expert)


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
    "lip_sync_expert": ModelFamily(
        "2",
        "The lip-sync expert of section 3.3: whether mouth motion and speech belong together.",
        lambda preset: preset.lip_sync_training,
        lambda preset: {"lip_sync": preset.lip_sync, "lip_sync_training": preset.lip_sync_training},
        _expert,
    ),
    "lip_sync_expert_all_channels": ModelFamily(
        "2",
        "The ablation of the lip-sync expert that sees every blendshape, not the mouth alone.",
        lambda preset: preset.lip_sync_training,
        lambda preset: {"lip_sync": of_all_channels(preset), "lip_sync_training": preset.lip_sync_training},
        _expert_of_all_channels,
    ),
    "audio2bs": ModelFamily(
        "1",
        "Audio2BS of section 3.3: neutral mouth weights from speech.",
        lambda preset: preset.audio2bs_training,
        lambda preset: {"lips": preset.lips, "audio2bs_training": preset.audio2bs_training},
        _audio2bs,
    ),
    "lip_residue": ModelFamily(
        "1",
        "The residue generator of section 3.3: what an emotional style adds to the neutral mouth.",
        lambda preset: preset.lip_residue_training,
        lambda preset: {"lips": preset.lips, "lip_residue_training": preset.lip_residue_training},
        _lip_residue,
        needs=("audio2bs", "lip_sync_expert"),
    ),
}


def family_named(name: str) -> ModelFamily:
    if name not in FAMILIES:
        raise UserError(f"no model family `{name}`; known: {', '.join(FAMILIES)}")
    return FAMILIES[name]
