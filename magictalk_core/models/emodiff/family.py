"""EmoDiff and its ablation without style, as model families."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from magictalk_core.models.emodiff.config import EmoDiffSettings
from magictalk_core.training.family import ModelFamily, Models

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["EMODIFF", "EMODIFF_NO_STYLE"]


def _without_style(settings: EmoDiffSettings) -> EmoDiffSettings:
    """The same settings for the ablation without style embedding, which begins from chance: no model to begin from is
    without style."""
    network = settings.network.model_copy(update={"style": "none"})
    training = settings.training.model_copy(update={"init": ""})
    return settings.model_copy(update={"network": network, "training": training})


def _build(settings: EmoDiffSettings, data: TrainingSet, models: Models) -> TrainingTask:
    from magictalk_core.models.emodiff.task import EmoDiffTask
    from magictalk_core.training.model_folder import ModelFolder

    return EmoDiffTask(settings, data, ModelFolder.begun_from(models, "emodiff"))


def _initial(init: str) -> Path:
    from magictalk_core.models.shipped.initial import initial_folder

    return initial_folder("emodiff", init)


EMODIFF = ModelFamily(
    name="emodiff",
    version="6",
    description="EmoDiff, the diffusion model of section 3.2: motion from speech and style.",
    section="emodiff",
    build=_build,
    initial=_initial,
)

EMODIFF_NO_STYLE = ModelFamily(
    name="emodiff_no_style",
    version="3",
    description="The ablation of EmoDiff without style embedding: the same network, never shown a style frame.",
    section="emodiff",
    build=_build,
    variant=_without_style,
)
