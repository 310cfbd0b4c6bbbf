"""Where tasks run: the seam between the steps of a corpus and the machines that work on its clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from magictalk_core.work.isolation import Crash

__all__ = ["TaskMapper"]


class TaskMapper(Protocol):
    """`work.isolation.map_isolated` on this machine, or whatever keeps its promise on others.

    It yields `(index of the task, result or Crash)` as tasks finish, at most `workers` of them at a time on one
    machine; each task runs in a child that may die, hang or lack memory without harm to the others. It raises
    `MachineError` and `TransientError` for what is no fault of a task's input. Files that tasks read and write lie
    under the same paths on all machines.
    """

    def __call__(
        self,
        function: Callable[..., Any],
        tasks: Sequence[tuple[Any, ...]],
        *,
        workers: int,
        timeout_s: float,
        memory_gb: float | None = None,
        preload: Sequence[str] = (),
    ) -> Iterator[tuple[int, Any | Crash]]: ...
