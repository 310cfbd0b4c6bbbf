"""Units of work side by side in threads, each with its share of the processors for its own children.

One unit alone leaves processors idle at its end and while it writes. A unit that fails does not stop the others;
trouble of the machine stops all, since it would meet every one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

from magictalk_core.errors import MachineError, MagicTalkError
from magictalk_core.work.isolation import default_workers, kill_children

__all__ = ["Processors", "side_by_side"]

Unit = TypeVar("Unit")
Result = TypeVar("Result")


class Processors:
    """What the units that run now share; asked anew at each step, so that the last unit has all of them."""

    def __init__(self, count: int = 0) -> None:
        self._count = count or default_workers()
        self._lock = threading.Lock()
        self._units = 0
        self.is_stopped = False

    @contextmanager
    def for_a_unit(self) -> Iterator[None]:
        with self._lock:
            self._units += 1
        try:
            yield
        finally:
            with self._lock:
                self._units -= 1

    def share(self) -> int:
        """Processes that the asking unit may start. Raises `MachineError` when the work was stopped meanwhile."""
        if self.is_stopped:
            raise MachineError("stopped: run again to go on")
        return max(1, self._count // max(1, self._units))

    @property
    def count(self) -> int:
        return self._count


def side_by_side(
    work: Callable[[Unit, Processors], Result], units: Sequence[Unit], processors: Processors, at_once: int = 4
) -> Iterator[tuple[Unit, Result | MagicTalkError]]:
    """Yield `(unit, result, or the error of ours that it raised)` as units finish; at most `at_once`, and no more than
    there are processors, at a time.

    Raises `MachineError` and what is no error of ours, the others stopped. If the caller stops iterating, the children
    of the units that run are killed: their units end, and nothing is half written.
    """

    def run(unit: Unit) -> Result:
        with processors.for_a_unit():
            return work(unit, processors)

    threads = max(1, min(at_once, processors.count, len(units)))
    with ThreadPoolExecutor(threads, thread_name_prefix="unit") as pool:
        waiting = iter(units)
        running: dict[Future[Result], Unit] = {}
        try:
            for unit in waiting:
                # Of the caller's context a thread sees a copy: in which run of Dagster it works stands there.
                running[pool.submit(copy_context().run, run, unit)] = unit
                if len(running) == threads:
                    yield from _finished(running)
            while running:
                yield from _finished(running)
        finally:
            if running:
                processors.is_stopped = True
                kill_children()


def _finished(running: dict[Future[Result], Unit]) -> Iterator[tuple[Unit, Result | MagicTalkError]]:
    """Wait for one unit at least."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        unit = running.pop(future)
        try:
            yield unit, future.result()
        except MachineError:
            raise
        except MagicTalkError as error:
            yield unit, error
