"""EmoDiff and its ablation without style, as model families."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magictalk_core.models.emodiff.config import EmoDiffSettings
from magictalk_core.training.family import ModelFamily, Models

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["EMODIFF", "EMODIFF_NO_STYLE"]


def _without_style(settings: EmoDiffSettings) -> EmoDiffSettings:
    """The same settings for the ablation without style embedding."""
    network = settings.network.model_copy(update={"style": "none"})
    return settings.model_copy(update={"network": network})


def _build(settings: EmoDiffSettings, data: TrainingSet, models: Models) -> TrainingTask:
    from magictalk_core.models.emodiff.task import EmoDiffTask

    return EmoDiffTask(settings, data)


EMODIFF = ModelFamily(
    name="emodiff",
    version="6",
    description="EmoDiff, the diffusion model of section 3.2: motion from speech and style.",
    section="emodiff",
    build=_build,
)

EMODIFF_NO_STYLE = ModelFamily(
    name="emodiff_no_style",
    version="3",
    description="The ablation of EmoDiff without style embedding: the same network, never shown a style frame.",
    section="emodiff",
    build=_build,
    variant=_without_style,
)
