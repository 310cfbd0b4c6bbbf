"""The lip-sync expert and its ablation over all channels, as model families."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magictalk_core.models.sync_expert.config import SyncExpertSettings
from magictalk_core.training.family import ModelFamily, Models

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["SYNC_EXPERT", "SYNC_EXPERT_ALL_CHANNELS"]


def _of_all_channels(settings: SyncExpertSettings) -> SyncExpertSettings:
    network = settings.network.model_copy(update={"channels": "all"})
    return settings.model_copy(update={"network": network})


def _build(settings: SyncExpertSettings, data: TrainingSet, models: Models) -> TrainingTask:
    from magictalk_core.models.sync_expert.task import SyncExpertTask

    return SyncExpertTask(settings, data)


SYNC_EXPERT = ModelFamily(
    name="sync_expert",
    version="3",
    description="The lip-sync expert of section 3.3: whether mouth motion and speech belong together.",
    section="sync_expert",
    build=_build,
)

SYNC_EXPERT_ALL_CHANNELS = ModelFamily(
    name="sync_expert_all_channels",
    version="3",
    description="The ablation of the lip-sync expert that sees every blendshape, not the mouth alone.",
    section="sync_expert",
    build=_build,
    variant=_of_all_channels,
)
