"""Ray: steps as Ray jobs, clips as Ray tasks, trainings as Ray jobs. The extra `ray` brings the libraries.

`RAY_ADDRESS` names the cluster, as everywhere with Ray. All machines see the workspace and the raw files under the same
paths. Ray hands functions and arguments on as pickles between its own processes: its ports are for a trusted network.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from assets.machines import TRAINING
from assets.resources import ClipWorkers, TrainingLauncher, training_module
from magictalk_core.errors import MachineError, MagicTalkError, PermanentError, UserError
from magictalk_core.storage.machine import GO_ON
from magictalk_core.work.isolation import Crash, map_isolated
from magictalk_core.work.mapper import TaskMapper

__all__ = ["RayClipWorkers", "RayTrainingLauncher", "build_ray_executor", "map_on_ray", "need_ray"]


_CONNECTING = threading.Lock()


def need_ray() -> None:
    """Raises `UserError` that says what to install."""
    try:
        import dagster_ray  # noqa: F401
    except ImportError as error:
        raise UserError("Ray is not installed: pip install 'magictalk[ray]'") from error


def build_ray_executor(variables: Sequence[str]) -> dg.ExecutorDefinition:
    """Steps as Ray jobs with the processors and GPUs of their `dagster-ray/config` tag, and these variables."""
    need_ray()
    from dagster_ray import ray_executor

    executor: dg.ExecutorDefinition = ray_executor.configured({"ray": {"env_vars": list(variables)}})
    return executor


def map_on_ray(
    function: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    *,
    workers: int,
    timeout_s: float,
    memory_gb: float | None = None,
    preload: Sequence[str] = (),
) -> Iterator[tuple[int, Any | Crash]]:
    """A `TaskMapper` over all machines of the cluster: one Ray task with one processor for each task.

    The Ray task runs it in a child of its own, as `map_isolated` does here, so that a decoder which dies costs one
    clip. `workers` is about one machine and is left to Ray.
    """
    import ray

    with _CONNECTING:  # shards are worked on in threads
        if not ray.is_initialized():
            ray.init(log_to_driver=False, logging_level="ERROR")
    limits = {"timeout_s": timeout_s, "memory_gb": memory_gb, "preload": tuple(preload)}
    alone = ray.remote(num_cpus=1, max_retries=2)(_alone)
    going = {alone.remote(function, arguments, limits): index for index, arguments in enumerate(tasks)}
    try:
        while going:
            done, _ = ray.wait(list(going), num_returns=1)
            index = going.pop(done[0])
            yield index, _fetched(done[0])
    finally:
        for left in going:
            ray.cancel(left, force=True)


def _fetched(reference: Any) -> Any | Crash:
    """What a task returned. Raises the task's own error, and `MachineError` where the cluster lost it three times."""
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, MagicTalkError):
            raise error.cause from error
        raise PermanentError(f"a task on Ray: {' '.join(str(error.cause).split())[:500]}") from error
    except ray.exceptions.RayError as error:
        raise MachineError(f"Ray lost a task: {type(error).__name__}: look at the cluster, {GO_ON}") from error


def _alone(function: Callable[..., Any], arguments: tuple[Any, ...], limits: dict[str, Any]) -> Any | Crash:
    """One task in an isolated child of a Ray worker, which is used again, and its fork server with it."""
    ((_, outcome),) = map_isolated(function, [arguments], workers=1, **limits)
    return outcome


class RayClipWorkers(ClipWorkers):
    """The clips of a shard are worked on by all machines of the cluster."""

    @property
    def mapper(self) -> TaskMapper:
        need_ray()
        return map_on_ray


class RayTrainingLauncher(TrainingLauncher):
    """A training is a Ray job of its own; several processes of one training run on one machine of the cluster."""

    variables: list[str] = Field(default_factory=list, description="variables that a training gets as they are here")

    def train(self, context: dg.AssetExecutionContext, arguments: Sequence[str], processes: int) -> None:
        need_ray()
        import os
        import shlex

        from dagster_ray import PipesRayJobClient

        handed_on = {name: os.environ[name] for name in self.variables if name in os.environ}
        entrypoint = shlex.join([self.python, *training_module(processes), *arguments])
        job: dict[str, Any] = {
            "entrypoint": entrypoint,
            "entrypoint_num_cpus": TRAINING.cpus(),
            "entrypoint_num_gpus": TRAINING.gpus(),
            "runtime_env": {"env_vars": handed_on},
        }
        PipesRayJobClient().run(context=context, submit_job_params=job)
