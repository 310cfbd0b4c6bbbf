"""One process or several of one training: who they are, on which device, and what they tell each other.

Started by `torchrun`, every process computes a part of each batch and the gradients are averaged; `accelerate` finds
the device and the others. Gradients are averaged in one piece after the backward pass, rather than by torch's
`DistributedDataParallel`: our losses may call the network several times or leave parameters unused, which that wrapper
does not take, and at these sizes (100 MB) there is nothing to gain from sending early.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from magictalk_core.config import TrainingConfig
from magictalk_core.errors import UserError

__all__ = ["Processes"]

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """This process among all of its training: `rank` of `count`, computing on `device`."""

    rank: int
    count: int
    device: torch.device

    @classmethod
    def of(cls, config: TrainingConfig) -> Processes:
        """As `torchrun` started us, or alone. Raises `UserError` when the settings want a GPU and there is none."""
        if config.device == "cuda" and not torch.cuda.is_available():
            raise UserError("training.device is cuda, but torch sees no GPU: set device to auto or cpu in the preset")
        wants_cpu = config.device == "cpu" or not torch.cuda.is_available()
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls(0, 1, torch.device("cpu" if wants_cpu else "cuda"))
        # Imported here: a second more, and most trainings run alone.
        from accelerate import PartialState

        state = PartialState(cpu=wants_cpu)
        return cls(state.process_index, state.num_processes, state.device)

    @property
    def is_first(self) -> bool:
        """Whether this process writes, logs and reports: one does."""
        return self.rank == 0

    def agreed(self, value: Value) -> Value:
        """The first process's `value` in all of them; the others wait for it."""
        if self.count == 1:
            return value
        from accelerate.utils import broadcast_object_list

        values: list[Any] = [value]
        broadcast_object_list(values)
        agreed: Value = values[0]
        return agreed

    def average_gradients(self, network: nn.Module) -> None:
        """Give every process the mean of all gradients; a parameter without one counts as zero."""
        if self.count == 1:
            return
        from accelerate.utils import reduce

        parameters = [p for p in network.parameters() if p.requires_grad]
        grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        mean = reduce(torch.cat([g.flatten() for g in grads]), "mean")
        for p, piece in zip(parameters, mean.split([p.numel() for p in parameters]), strict=True):
            p.grad = piece.view_as(p)
