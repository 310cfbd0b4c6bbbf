"""What a step asks of the machine that runs it, where a cluster places steps. On one machine nobody reads it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from magictalk_core.errors import UserError

__all__ = [
    "CPU_WORK",
    "GENERATION",
    "LAUNCHER",
    "MAPPER",
    "SHARD",
    "STEP_CPUS",
    "STEP_GPUS",
    "TRAINING",
    "StepNeeds",
    "positive_number",
]

STEP_CPUS, STEP_GPUS = "MAGICTALK_STEP_CPUS", "MAGICTALK_STEP_GPUS"
"""Processors of a step that states its needs, 2 when unset; GPUs of one that trains or generates, none when unset."""

MAPPER, LAUNCHER = "MAGICTALK_CLIP_WORKERS", "MAGICTALK_LAUNCHER"
"""`ray`: clips of a shard, and trainings, are Ray's own jobs, and ask for themselves; `local` or unset: the step's."""


@dataclass(frozen=True)
class StepNeeds:
    """`handed_on_by`: the variable by which the work of the step runs elsewhere. Such a step asks for nothing, since
    one that held processors while it waits for others could wait for ever."""

    gpu: bool = False
    handed_on_by: str = ""

    def cpus(self) -> float:
        """Processors of the work, wherever it runs."""
        return positive_number(STEP_CPUS, "2")

    def gpus(self) -> float:
        return positive_number(STEP_GPUS, "0") if self.gpu else 0

    def op_tags(self) -> dict[str, Any]:
        """The tags that `dagster_ray.ray_executor` and Dagster's Kubernetes executor read."""
        cpus, gpus = (0, 0) if os.environ.get(self.handed_on_by) == "ray" else (self.cpus(), self.gpus())
        limits = {"nvidia.com/gpu": f"{gpus:g}"} if gpus else {}
        container = {"resources": {"requests": {"cpu": f"{cpus:g}"}, "limits": limits}}
        return {
            "dagster-ray/config": json.dumps({"num_cpus": cpus, "num_gpus": gpus}),
            "dagster-k8s/config": json.dumps({"container_config": container}),
        }


def positive_number(variable: str, default: str) -> float:
    """The number that the environment says. Raises `UserError` for anything else."""
    text = os.environ.get(variable) or default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise UserError(f"{variable}: expected a number from 0, found `{text}`")
    return number


CPU_WORK = StepNeeds()
SHARD = StepNeeds(handed_on_by=MAPPER)
TRAINING = StepNeeds(gpu=True, handed_on_by=LAUNCHER)
GENERATION = StepNeeds(gpu=True)
