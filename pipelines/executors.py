"""Which processes run the steps of a job: this one, one process per step on this machine, or Ray jobs on a cluster.

`MAGICTALK_EXECUTOR` says it for `magictalk run`, for the UI and for the daemon alike. Unset, `magictalk run` works in
its own process, and runs that the UI or the daemon start have a process per step, as Dagster has it.
"""

from __future__ import annotations

import os

import dagster as dg

from magictalk_core.errors import UserError

__all__ = ["EXECUTOR", "SHARDS_AT_ONCE", "build_executor", "executor_choice", "handed_on_variables"]

EXECUTOR = "MAGICTALK_EXECUTOR"
EXECUTORS = ("in_process", "multiprocess", "ray")

SHARDS_AT_ONCE = {"multiprocess": 1, "ray": 32}
"""Runs of one shard each that `magictalk run` has going. On a cluster Ray is the queue: a step waits there for the
processors that it asks for. On one machine the clips of one shard keep every processor busy."""

_HANDED_ON = ("MAGICTALK_", "MLFLOW_", "DAGSTER_HOME", "PYTHONPATH", "OMP_NUM_THREADS", "AWS_")
"""Beginnings of the variables that steps on other machines get from where the job was started."""


def executor_choice() -> str | None:
    """What `MAGICTALK_EXECUTOR` says, None when it is unset. Raises `UserError` for an unknown name."""
    choice = os.environ.get(EXECUTOR) or None
    if choice is not None and choice not in EXECUTORS:
        raise UserError(f"{EXECUTOR}: expected one of {', '.join(EXECUTORS)}, found `{choice}`")
    return choice


def build_executor() -> dg.ExecutorDefinition | None:
    """The executor of every job; None is Dagster's own choice."""
    choice = executor_choice()
    if choice == "ray":
        from pipelines.ray_cluster import build_ray_executor

        return build_ray_executor(handed_on_variables())
    return {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor, None: None}[choice]


def handed_on_variables() -> list[str]:
    """Names of the variables that a step on another machine needs as they are here."""
    return sorted(name for name in os.environ if name.startswith(_HANDED_ON))
