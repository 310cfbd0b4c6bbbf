"""What the trainer needs of a model: one task per family, whose every step is a pure function of its number."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

__all__ = ["WHOLE_BATCH", "BatchPart", "TaskOfParts", "TrainingTask"]

BatchPart = tuple[int, int]
"""(rank, processes): the part of a batch that one process of a distributed training computes."""

WHOLE_BATCH: BatchPart = (0, 1)


class TrainingTask(Protocol):
    """Builds the network of one model family, computes its losses, and writes what others need to use it.

    Every random choice of a step comes from a generator seeded by (seed, step), drawn for the whole batch whatever the
    part: a resumed run and a run on several processes see exactly what an unbroken one on one process sees.
    """

    def build_network(self) -> nn.Module:
        """The network with its first weights, drawn from torch's global generator."""
        ...

    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the training data. Raises `PermanentError` when there are none."""
        ...

    def training_loss(self, network: nn.Module, step: int, part: BatchPart = WHOLE_BATCH) -> Tensor:
        """The loss of one optimizer step: the mean over the rows `rank::processes` of its batch, times
        processes * rows / batch, so that the average over the processes is the mean over the whole batch."""
        ...

    def validation_loss(self, network: nn.Module) -> float | None:
        """The same number for the same weights every time; None without validation data."""
        ...

    def describe_model(self, weights: dict[str, Tensor], folder: Path) -> dict[str, Any]:
        """What this family says of the model with these weights: JSON values for its `config.json`.

        The trainer writes weights, family, version, channels and normalisation; what else using the model needs is
        written to `folder` here.
        """
        ...


@runtime_checkable
class TaskOfParts(Protocol):
    """A task whose loss has parts that are worth a curve each."""

    def loss_parts(self) -> dict[str, float]:
        """Name -> value of each part of the last `training_loss`, with its weight: their sum is the loss."""
        ...
