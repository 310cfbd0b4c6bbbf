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

__all__ = ["INIT", "ModelFamily", "Models"]

Models = Mapping[str, Path]
"""Family -> folder of its trained model."""

INIT = "init"
"""Among the models that a family is built with: the one of itself that its training begins from."""

_WITHOUT_EFFECT = ("keep_checkpoints", "sample_every")
"""Settings of a training that change nothing of the weights."""


def _as_they_are(settings: Any) -> Any:
    return settings


def _nothing(settings: Any) -> frozenset[str]:
    return frozenset()


def _no_file(settings: Any) -> Path | None:
    return None


@dataclass(frozen=True)
class ModelFamily:
    """One family.

    `version` is bumped when the same data and settings would train another model. `section` is where the preset has its
    settings; several families may share one, each with its `variant` of them. `build` makes the task from settings, a
    training set and the models of the families that it `needs`, some of which its settings may make it `spare`.

    A family whose training may begin from a finished model has `initial`: from what `training.init` says to a model
    folder. `free_of_layout`: settings of its network that no weight depends on. `weights_file`: the file of others'
    weights that the settings say a training begins at; what is in it is part of what the training is.

    One that trains for hours is made `by_hand`: when it is asked for by name, and never else.
    """

    name: str
    version: str
    description: str
    section: str
    build: Callable[[Any, TrainingSet, Models], TrainingTask]
    needs: tuple[str, ...] = ()
    variant: Callable[[Any], Any] = _as_they_are
    spare: Callable[[Any], frozenset[str]] = _nothing
    initial: Callable[[str], Path] | None = None
    free_of_layout: frozenset[str] = frozenset()
    weights_file: Callable[[Any], Path | None] = _no_file
    by_hand: bool = False

    def settings_of(self, preset: StrictModel) -> FamilySettings:
        """The settings of this family in a preset."""
        settings: FamilySettings = self.variant(getattr(preset, self.section))
        return settings

    def needed_by(self, settings: FamilySettings) -> tuple[str, ...]:
        """The families that a training with these settings learns from."""
        spared = self.spare(settings)
        return tuple(name for name in self.needs if name not in spared)

    def initial_of(self, settings: FamilySettings) -> Path | None:
        """The folder of the model that a training with these settings begins from; None: chance. Raises `UserError`."""
        init = getattr(settings.training, "init", "")
        return self.initial(init) if init and self.initial is not None else None

    def learned_from(self, settings: FamilySettings) -> dict[str, Any]:
        """The settings that change the weights: not how the finished model is sampled, nor what is only kept."""
        values = settings.model_dump(mode="json", exclude={"sampling"})
        for name in _WITHOUT_EFFECT:
            values["training"].pop(name)
        if not values["training"].get(INIT):
            # Of one that begins from chance, as all did once: its identity is what it was.
            values["training"].pop(INIT, None)
        return values
