"""What a model family says of itself: its version, its settings, what it is trained from, and its task.

Light to import: networks and torch are loaded when a task is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magictalk_core.config import FamilySettings, StrictModel

if TYPE_CHECKING:
    from magictalk_core.training.task import TrainingTask
    from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["ModelFamily", "Models"]

Models = Mapping[str, Path]
"""Family -> folder of its trained model."""

_WITHOUT_EFFECT = ("keep_checkpoints", "sample_every")
"""Settings of a training that change nothing of the weights."""


def _as_they_are(settings: Any) -> Any:
    return settings


@dataclass(frozen=True)
class ModelFamily:
    """One family.

    `version` is bumped when the same data and settings would train another model. `section` is where the preset has its
    settings; several families may share one, each with its `variant` of them. `build` makes the task from settings, a
    training set and the models of the families that it `needs`.
    """

    name: str
    version: str
    description: str
    section: str
    build: Callable[[Any, TrainingSet, Models], TrainingTask]
    needs: tuple[str, ...] = ()
    variant: Callable[[Any], Any] = _as_they_are

    def settings_of(self, preset: StrictModel) -> FamilySettings:
        """The settings of this family in a preset."""
        settings: FamilySettings = self.variant(getattr(preset, self.section))
        return settings

    def learned_from(self, settings: FamilySettings) -> dict[str, Any]:
        """The settings that change the weights: not how the finished model is sampled, nor what is only kept."""
        values = settings.model_dump(mode="json", exclude={"sampling"})
        for name in _WITHOUT_EFFECT:
            values["training"].pop(name)
        return values
