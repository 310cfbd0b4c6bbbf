"""The lip-sync expert, its ablation over all channels, and the judges of sync, as model families."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from magictalk_core.models.sync_expert.config import SyncExpertSettings
from magictalk_core.training.family import ModelFamily, Models

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["SYNC_EXPERT", "SYNC_EXPERT_ALL_CHANNELS", "SYNC_JUDGES"]


def _of_all_channels(settings: SyncExpertSettings) -> SyncExpertSettings:
    network = settings.network.model_copy(update={"channels": "all"})
    return settings.model_copy(update={"network": network})


_JUDGE_SHARE = 3


def _judging(settings: SyncExpertSettings, by: int) -> SyncExpertSettings:
    """With another seed, and a third of the epochs: three judges together cost what the expert does."""
    epochs = max(1, settings.training.epochs // _JUDGE_SHARE)
    training = settings.training.model_copy(update={"seed": settings.training.seed + by, "epochs": epochs})
    return settings.model_copy(update={"training": training})


def _wider(settings: SyncExpertSettings) -> SyncExpertSettings:
    """Half as wide again, with a seed of its own."""
    widths = tuple(width * 3 // 2 for width in settings.network.widths)
    network = settings.network.model_copy(update={"widths": widths})
    return _judging(settings, 303).model_copy(update={"network": network})


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

_JUDGE = "A judge of sync that lip refinement never saw: the expert of section 3.3"

SYNC_JUDGES = (
    ModelFamily(
        name="sync_expert_judge_1",
        version="1",
        description=f"{_JUDGE} with another seed.",
        section="sync_expert",
        build=_build,
        variant=partial(_judging, by=101),
    ),
    ModelFamily(
        name="sync_expert_judge_2",
        version="1",
        description=f"{_JUDGE} with a third seed.",
        section="sync_expert",
        build=_build,
        variant=partial(_judging, by=202),
    ),
    ModelFamily(
        name="sync_expert_judge_wide",
        version="1",
        description=f"{_JUDGE} with another seed, half as wide again.",
        section="sync_expert",
        build=_build,
        variant=_wider,
    ),
)
"""Lips that were refined to please one expert please that one: these score them."""
