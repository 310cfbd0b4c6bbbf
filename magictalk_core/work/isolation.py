"""Work on untrusted or crash-prone input, one forked child per task.

A decoder that segfaults, hangs or eats the memory costs one clip, never the shard: its outcome is a `Crash` value.
Children are forked from a server process that has already imported the heavy modules, so a child starts in
milliseconds and inherits no threads, file descriptors or GL contexts of the caller.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Literal, TypeVar, cast

from magictalk_core.errors import MagicTalkError

__all__ = ["PRELOAD", "Crash", "default_workers", "map_isolated"]

PRELOAD = (
    "magictalk_core.media.standardize",
    "magictalk_core.faces.extract",
    "magictalk_core.speech.features",
    "magictalk_core.preparation.shards",
    "magictalk_core.preparation.index",
    "magictalk_core.sample_corpus.build",
    "magictalk_core.portrait.animator",
    "ai_edge_litert.interpreter",
    "scipy.sparse.linalg",
    "moderngl",
    "pyarrow.parquet",
    "pandera.pandas",
)
"""What the fork server imports. There is one server per process and it reads this list once, when it starts: modules
named later would be imported again in every child, a second or two each time."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Crash:
    """A task that did not return: it died, ran out of time, or raised. `detail` is one line for a table."""

    kind: Literal["died", "timeout", "raised"]
    detail: str


@dataclass
class _Running(Generic[Result]):
    index: int
    process: Any
    pipe: Connection
    deadline: float


def default_workers() -> int:
    """The processors this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def _child(
    function: Callable[..., Any], arguments: tuple[Any, ...], pipe: Connection, memory_bytes: int | None
) -> None:
    """Run one task and send its outcome; the parent tells a death from the closed pipe."""
    import cv2

    # Children run side by side: threads of theirs would only wait for each other.
    cv2.setNumThreads(1)
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        outcome: Any = function(*arguments)
    except MagicTalkError as error:
        outcome = Crash("raised", str(error))
    except MemoryError:
        outcome = Crash("died", f"out of memory, limit {memory_bytes} bytes")
    except Exception as error:  # the boundary of the child: everything becomes a value with its type's name
        outcome = Crash("raised", f"{type(error).__name__}: {error}")
    pipe.send(outcome)
    pipe.close()


def _finish(running: _Running[Result], timeout_s: float) -> Result | Crash:
    try:
        outcome: Result | Crash = running.pipe.recv()
    except EOFError:
        running.process.join()
        code = running.process.exitcode
        if time.monotonic() >= running.deadline:
            outcome = Crash("timeout", f"no result within {timeout_s:.0f} s")
        else:
            outcome = Crash("died", f"signal {-code}" if code is not None and code < 0 else f"exit code {code}")
    running.process.join()
    running.pipe.close()
    return outcome


def map_isolated(
    function: Callable[..., Result],
    tasks: Sequence[tuple[Any, ...]],
    *,
    workers: int,
    timeout_s: float,
    memory_gb: float | None = None,
) -> Iterator[tuple[int, Result | Crash]]:
    """Yield `(index of the task, result or Crash)` as tasks finish, at most `workers` at a time.

    `function` is importable by name. `memory_gb` limits the address space of a child. If the caller stops iterating,
    the children are killed.
    """
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))
    memory_bytes = None if memory_gb is None else int(memory_gb * 1e9)
    waiting = iter(enumerate(tasks))
    active: dict[Connection, _Running[Result]] = {}

    def start_next() -> None:
        for index, arguments in waiting:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(function, arguments, sender, memory_bytes), daemon=True)
            process.start()
            sender.close()
            active[receiver] = _Running(index, process, receiver, time.monotonic() + timeout_s)
            return

    try:
        for _ in range(max(1, workers)):
            start_next()
        while active:
            ready = wait(list(active), timeout=0.5)
            now = time.monotonic()
            for running in active.values():
                if now >= running.deadline and running.process.is_alive():
                    running.process.kill()
            for pipe in ready:
                running = active.pop(cast(Connection, pipe))
                outcome = _finish(running, timeout_s)
                start_next()
                yield running.index, outcome
    finally:
        for running in active.values():
            running.process.kill()
