"""A tracker that outlives its store: an outage costs curves at most, never a training."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from magictalk_core.training.tracking import RunTracker

__all__ = ["EnduringTracker"]

logger = logging.getLogger("magictalk.training")

RETRY_S = 60.0
"""Between two tries of a store that did not answer: each may wait for its time limit."""

Call = Callable[[], object]


class EnduringTracker:
    """Hands every call to another tracker; what that one cannot take waits in order and is tried again later.

    The curves of a training lie in its folder in any case (`curves.csv`). What still waits when the training ends is
    lost to the store, and said.
    """

    def __init__(self, tracker: RunTracker) -> None:
        self._tracker = tracker
        self._run_id = ""
        self._waiting: list[Call] = []
        self._next_try = 0.0

    def start(self, experiment: str, name: str, run_id: str | None) -> str:
        """The id of the run; that of an earlier start, or nothing, while the store does not answer."""
        self._run_id = run_id or ""
        self._do(partial(self._start, experiment, name, run_id))
        return self._run_id

    def _start(self, experiment: str, name: str, run_id: str | None) -> None:
        self._run_id = self._tracker.start(experiment, name, run_id)

    def params(self, values: Mapping[str, Any]) -> None:
        self._do(partial(self._tracker.params, dict(values)))

    def tags(self, values: Mapping[str, str]) -> None:
        self._do(partial(self._tracker.tags, dict(values)))

    def dataset(self, name: str, digest: str) -> None:
        self._do(partial(self._tracker.dataset, name, digest))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        self._do(partial(self._tracker.metrics, dict(values), step))

    def artifact(self, path: Path, folder: str | None = None) -> None:
        self._do(partial(self._send, path, folder))

    def _send(self, path: Path, folder: str | None) -> None:
        if not path.is_file():
            logger.warning("MLflow: %s is no longer there and is not stored", path.name)
            return
        self._tracker.artifact(path, folder)

    def finish(self) -> None:
        self._do(self._tracker.finish, at_once=True)
        if self._waiting:
            logger.warning(
                "MLflow did not answer to the end: %d records of this training are not in its store, "
                "its curves are in curves.csv",
                len(self._waiting),
            )

    def _do(self, call: Call, at_once: bool = False) -> None:
        self._waiting.append(call)
        if at_once or time.monotonic() >= self._next_try:
            self._send_waiting()

    def _send_waiting(self) -> None:
        was_out = len(self._waiting) > 1
        while self._waiting:
            try:
                self._waiting[0]()
            # Whatever a store, its client or the network raises: none of it is worth a training.
            except Exception as error:
                if not was_out:
                    text = " ".join(str(error).split())[:300]
                    logger.warning("MLflow does not answer (%s: %s): training goes on", type(error).__name__, text)
                self._next_try = time.monotonic() + RETRY_S
                return
            del self._waiting[0]
        if was_out:
            logger.info("MLflow answers again: everything is stored")
