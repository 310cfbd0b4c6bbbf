"""Work on untrusted or crash-prone input, one forked child per task.

A decoder that segfaults, hangs or eats the memory costs one clip, never the shard: its outcome is a `Crash` value.
Trouble of the machine (no room, no memory, a child killed from outside) is nobody's outcome: it ends the whole call.
Children are forked from a server process that has already imported the heavy modules, so a child starts in
milliseconds and inherits no threads, file descriptors or GL contexts of the caller. What a child sends back is read as
JSON of bounded size, since whoever took over a decoder may send anything.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Literal, TypeVar

from magictalk_core.errors import MachineError, MagicTalkError, TransientError, UserError
from magictalk_core.storage.machine import GO_ON, machine_trouble

__all__ = ["MAX_ANSWER_BYTES", "Crash", "default_workers", "kill_children", "map_isolated"]

WORKERS = "MAGICTALK_WORKERS"

MAX_ANSWER_BYTES = 16_000_000
"""What a child may send. Results that are larger, or no JSON, are left in files by the child."""

_MAX_DETAIL = 500
_READ_BYTES = 1 << 20
_POLL_S = 0.5

_STOPPED_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_SERVER_DIED = 255
"""The exit code that multiprocessing makes up when the fork server is gone and cannot tell the child's own."""

_asking_for_ends = threading.Lock()
"""Starting a child asks every child of the process whether it has ended, and a child's exit code can be read once: of
two threads that ask at the same moment one would read that the fork server died."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Crash:
    """A task that did not return: it died, ran out of time, or raised. `detail` is one line for a table."""

    kind: Literal["died", "timeout", "raised"]
    detail: str


@dataclass
class _Running:
    """A child, and what it has sent so far. `pipe` is None when its end was read."""

    index: int
    process: Any
    pipe: Connection | None
    deadline: float
    received: bytearray = field(default_factory=bytearray)

    @property
    def waits_for(self) -> Any:
        return self.process.sentinel if self.pipe is None else self.pipe

    def read(self) -> None:
        """Take what is there without waiting: a child that announces more than it sends must not hold up the others."""
        if self.pipe is None:
            return
        try:
            block = os.read(self.pipe.fileno(), _READ_BYTES)
        except BlockingIOError:
            return
        self.received += block
        if not block or len(self.received) > MAX_ANSWER_BYTES:
            self.close()

    def close(self) -> None:
        if self.pipe is not None:
            self.pipe.close()
            self.pipe = None


def default_workers() -> int:
    """`$MAGICTALK_WORKERS`, else the processors this process may use; the share of a container is not seen."""
    stated = os.environ.get(WORKERS) or ""
    if stated and not (stated.isdecimal() and int(stated)):
        raise UserError(f"{WORKERS}: expected a number of processes from 1, found `{stated}`")
    return int(stated) if stated else max(1, len(os.sched_getaffinity(0)))


def kill_children() -> None:
    """Kill the children of all threads; their calls end with a `MachineError`."""
    with _asking_for_ends:
        for child in mp.active_children():
            child.kill()


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_DETAIL]


def _machines(error: BaseException, memory_bytes: int | None) -> str | None:
    """What to say when the error, or one that led to it, is trouble of the machine; else None.

    Memory that a limited child lacks is its own fault; without a limit it is the machine that has none.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MachineError):
            return str(cause)
        if isinstance(cause, MemoryError) and memory_bytes is None:
            return f"no memory left: free some, {GO_ON}"
        trouble = machine_trouble(cause)
        if trouble is not None:
            return trouble
        cause = cause.__cause__
    return None


def _answer(function: Callable[..., Any], arguments: tuple[Any, ...], memory_bytes: int | None) -> str:
    """What a child sends: one of `result`, `crash` (kind, detail), `machine` and `transient` (why to stop here)."""
    try:
        return json.dumps({"result": function(*arguments)})
    except KeyboardInterrupt:
        return json.dumps({"machine": f"interrupted: {GO_ON.removeprefix('then ')}"})
    except Exception as error:  # the boundary of the child: everything becomes a value
        trouble = _machines(error, memory_bytes)
        if trouble is not None:
            return json.dumps({"machine": trouble})
        if isinstance(error, TransientError):
            return json.dumps({"transient": str(error)})
        if isinstance(error, MemoryError):
            return json.dumps({"crash": ["died", f"out of memory, limit {memory_bytes} bytes"]})
        text = str(error) if isinstance(error, MagicTalkError) else f"{type(error).__name__}: {error}"
        return json.dumps({"crash": ["raised", _one_line(text)]})


def _child(
    function: Callable[..., Any], arguments: tuple[Any, ...], pipe: Connection, memory_bytes: int | None
) -> None:
    """Run one task and send its answer; the parent tells a death from a pipe that closed without one."""
    import cv2

    # Children run side by side: threads of theirs would only wait for each other.
    cv2.setNumThreads(1)
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    answer = _answer(function, arguments, memory_bytes)
    with open(pipe.fileno(), "wb", closefd=False) as file:
        file.write(answer.encode())
    pipe.close()


def _parsed(received: bytearray) -> dict[str, Any] | None:
    """An answer of the form that `_answer` gives, or None: nothing else is looked at."""
    try:
        answer = json.loads(received)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or len(answer) != 1:
        return None
    if "crash" in answer:
        crash = answer["crash"]
        fits = isinstance(crash, list) and len(crash) == 2 and crash[0] in ("died", "raised")
        return answer if fits else None
    return answer if {"result", "machine", "transient"} & set(answer) else None


def _outcome(running: _Running, timeout_s: float) -> Any:
    """The result or `Crash` of a child that has ended. Raises what is no fault of its input."""
    running.close()
    if len(running.received) > MAX_ANSWER_BYTES:
        return Crash("raised", f"more than {MAX_ANSWER_BYTES} bytes came back")
    code = running.process.exitcode
    answer = _parsed(running.received)
    if answer is not None and code == 0:
        if "machine" in answer:
            raise MachineError(_one_line(str(answer["machine"])))
        if "transient" in answer:
            raise TransientError(_one_line(str(answer["transient"])))
        if "crash" in answer:
            kind, detail = answer["crash"]
            return Crash(kind, _one_line(str(detail)))
        return answer["result"]
    if time.monotonic() >= running.deadline:
        return Crash("timeout", f"no result within {timeout_s:.0f} s")
    if code == 0:
        return Crash("raised", f"{len(running.received)} bytes came back that are no answer")
    if -code in _STOPPED_FROM_OUTSIDE or code == _SERVER_DIED:
        how = "its server died" if code == _SERVER_DIED else f"signal {-code}"
        raise MachineError(
            f"a child process was stopped from outside ({how}), as the system does when memory runs out: "
            f"free some memory or use fewer workers, {GO_ON}"
        )
    return Crash("died", f"signal {-code}" if code < 0 else f"exit code {code}")


class _Children(Generic[Result]):
    """The children that run now."""

    def __init__(
        self, function: Callable[..., Result], timeout_s: float, memory_gb: float | None, preload: Sequence[str]
    ) -> None:
        self._context = mp.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._function = function
        self._timeout_s = timeout_s
        self._memory_bytes = None if memory_gb is None else int(memory_gb * 1e9)
        self.active: list[_Running] = []

    def start(self, index: int, arguments: tuple[Any, ...]) -> None:
        try:
            receiver, sender = self._context.Pipe(duplex=False)
            os.set_blocking(receiver.fileno(), False)
            child = (self._function, arguments, sender, self._memory_bytes)
            process = self._context.Process(target=_child, args=child, daemon=True)
            with _asking_for_ends:
                process.start()
        except (OSError, EOFError) as error:
            said = machine_trouble(error) or f"{_one_line(str(error))}: free some memory or processes, {GO_ON}"
            raise MachineError(f"no child process can be started: {said}") from error
        sender.close()
        self.active.append(_Running(index, process, receiver, time.monotonic() + self._timeout_s))

    def finished(self) -> Iterator[tuple[int, Result | Crash]]:
        """Wait a little, read what was sent, kill who is late, and give the outcomes of those that ended."""
        wait([running.waits_for for running in self.active], timeout=_POLL_S)
        now = time.monotonic()
        for running in list(self.active):
            running.read()
            with _asking_for_ends:
                if now >= running.deadline:
                    running.process.kill()
                    running.process.join()
                    # A child of the child may hold the pipe open for ever.
                    running.close()
                has_ended = running.pipe is None and not running.process.is_alive()
            if has_ended:
                self.active.remove(running)
                yield running.index, _outcome(running, self._timeout_s)

    def kill(self) -> None:
        for running in self.active:
            running.process.kill()
            running.close()


def map_isolated(
    function: Callable[..., Result],
    tasks: Sequence[tuple[Any, ...]],
    *,
    workers: int,
    timeout_s: float,
    memory_gb: float | None = None,
    preload: Sequence[str] = (),
) -> Iterator[tuple[int, Result | Crash]]:
    """Yield `(index of the task, result or Crash)` as tasks finish, at most `workers` at a time.

    `function` is importable by name and returns a JSON value (a tuple comes back as a list). `memory_gb` limits the
    private memory that a child may map. `preload` names what the fork server imports before it forks: there is one
    server per process, it reads the list of the first call, and what later calls name is imported in every child, a
    second or two each time. If the caller stops iterating, the children are killed.

    Raises, children killed, what is no fault of a task's input: `MachineError` when a child had no room, no files or no
    rights on this machine, or was killed from outside, as the system does when memory runs out; `TransientError` of a
    child, such as weights that cannot be fetched now.
    """
    children = _Children(function, timeout_s, memory_gb, preload)
    waiting = iter(enumerate(tasks))
    try:
        for index, arguments in waiting:
            children.start(index, arguments)
            if len(children.active) < max(1, workers):
                continue
            yield from _next_outcomes(children)
        while children.active:
            yield from _next_outcomes(children)
    finally:
        children.kill()


def _next_outcomes(children: _Children[Result]) -> list[tuple[int, Result | Crash]]:
    """At least one outcome; the children that ended meanwhile are replaced when the caller comes back."""
    found: list[tuple[int, Result | Crash]] = []
    while not found:
        found = list(children.finished())
    return found
