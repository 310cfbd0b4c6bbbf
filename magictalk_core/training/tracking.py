"""Where a training run reports to: MLflow, or memory for tests and for training without a store.

An outage of MLflow, or a slow one, never costs a training: everything is written beside the run first (`journal`) and
sent a few times a minute, and what a store does not take waits there, for the next try, the next run of the same work,
or `magictalk mlflow sync`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from magictalk_core.training.journal import Journal, RunNote
from magictalk_core.training.sending import MlflowRun, send_pending
from magictalk_core.training.store import ExperimentStore
from magictalk_core.training.system_metrics import SystemMetrics

__all__ = ["MemoryTracker", "MlflowTracker", "RunTracker"]

logger = logging.getLogger("magictalk.training")

SEND_EVERY_S = 5.0
"""Between two looks at what waits: the values of many steps become one call."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 15.0, 600.0
"""After a try that failed, and doubled after each further one: a store that hangs costs its time limit each time."""


class RunTracker(Protocol):
    """One training run, in the directory `run`. A training that was interrupted goes on in the run that it began."""

    def start(self, experiment: str, name: str, run: Path) -> None: ...
    def params(self, values: Mapping[str, Any]) -> None: ...
    def tags(self, values: Mapping[str, str]) -> None: ...
    def dataset(self, name: str, digest: str) -> None: ...
    def metrics(self, values: Mapping[str, float], step: int) -> None: ...
    def artifact(self, path: Path, folder: str | None = None) -> None:
        """`path` stays where it is: it may be read much later."""
        ...

    def finish(self) -> str:
        """The id of the run in the store; empty while it has none."""
        ...


class MemoryTracker:
    """Keeps everything in attributes."""

    def __init__(self) -> None:
        self.logged: dict[str, Any] = {"params": {}, "tags": {}, "datasets": {}, "metrics": [], "artifacts": []}
        self.finished = False

    def start(self, experiment: str, name: str, run: Path) -> None:
        self.logged["experiment"], self.logged["name"] = experiment, name

    def params(self, values: Mapping[str, Any]) -> None:
        self.logged["params"].update(values)

    def tags(self, values: Mapping[str, str]) -> None:
        self.logged["tags"].update(values)

    def dataset(self, name: str, digest: str) -> None:
        self.logged["datasets"][name] = digest

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self.logged["metrics"].append((step, dict(values)))

    def artifact(self, path: Path, folder: str | None = None) -> None:
        self.logged["artifacts"].append(f"{folder}/{path.name}" if folder else path.name)

    def finish(self) -> str:
        self.finished = True
        return f"memory-{self.logged['name']}"


class MlflowTracker:
    """Reports to the MLflow store or server at `uri`."""

    def __init__(self, uri: str) -> None:
        self._store = ExperimentStore(uri)
        self._sent = MlflowRun(self._store)
        self._machine = SystemMetrics()
        self._folder = Path()
        self._next_try = 0.0
        self._pause = FIRST_PAUSE_S
        self._is_out = False

    def start(self, experiment: str, name: str, run: Path) -> None:
        self._folder, self._journal = run, Journal(run)
        known = RunNote.read(run)
        RunNote(experiment, name, known.run_id if known else "").write(run)
        self._add("start")
        self._send()

    def params(self, values: Mapping[str, Any]) -> None:
        self._add("params", values=dict(values))

    def tags(self, values: Mapping[str, str]) -> None:
        self._add("tags", values=dict(values))

    def dataset(self, name: str, digest: str) -> None:
        self._add("dataset", name=name, digest=digest)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        now = _now_ms()
        rows = [(name, float(value), step, now) for name, value in values.items()]
        rows += [(name, value, sample, now) for name, value, sample in self._machine.due()]
        self._add("metrics", values=rows)

    def artifact(self, path: Path, folder: str | None = None) -> None:
        self._add("artifact", path=str(path.absolute()), folder=folder)

    def finish(self) -> str:
        self._add("finish")
        self._send()
        if self._journal.records:
            logger.warning(
                "MLflow did not answer to the end: %d records of this training wait in %s; `magictalk mlflow sync` "
                "sends them",
                len(self._journal.records),
                self._journal.path,
            )
        note = RunNote.read(self._folder)
        return note.run_id if note else ""

    def _add(self, do: str, **arguments: Any) -> None:
        self._journal.add({"do": do, **arguments, "ms": _now_ms()})
        if time.monotonic() >= self._next_try:
            self._send()

    def _send(self) -> None:
        try:
            send_pending(self._folder, self._journal, self._store, self._sent)
        # Whatever a store, its client or the network raises: none of it is worth a training.
        except Exception as error:
            if not self._is_out:
                text = " ".join(str(error).split())[:300]
                logger.warning("MLflow does not answer (%s: %s): training goes on", type(error).__name__, text)
            self._is_out, self._next_try = True, time.monotonic() + self._pause
            self._pause = min(LONGEST_PAUSE_S, 2 * self._pause)
            return
        if self._is_out:
            logger.info("MLflow answers again: everything is stored")
        self._is_out, self._pause, self._next_try = False, FIRST_PAUSE_S, time.monotonic() + SEND_EVERY_S


def _now_ms() -> int:
    return int(time.time() * 1000)
