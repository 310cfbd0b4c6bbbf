"""Sends the records of a run directory to MLflow, in order, as far as the store takes them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from magictalk_core.training.journal import Journal, RunNote, batches
from magictalk_core.training.store import ExperimentStore

__all__ = ["MlflowRun", "send_pending"]

logger = logging.getLogger("magictalk.training")

_MOST_PARAMS = 100
_LONGEST_PARAM = 6000
_REFUSED = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_ALREADY_EXISTS")
"""MLflow's codes for what it will not take however often it is sent."""


class MlflowRun:
    """One MLflow run as its records need it: explicit calls, no autologging. `run_id` is empty before `start`."""

    def __init__(self, store: ExperimentStore, run_id: str = "") -> None:
        self._store = store
        self.run_id = run_id

    def start(self, experiment: str, name: str, known: str, ms: int) -> str:
        """The run `known`, or a new one where there is none or somebody removed it; returns its id."""
        experiment_id = self._store.experiment(experiment)
        if known and self._store.has_run(known):
            self._store.client.update_run(known, status="RUNNING")
            self.run_id = known
            return known
        if known:
            logger.warning("the MLflow run %s of this training is gone: going on in a new one", known)
        self.run_id = self._store.client.create_run(experiment_id, start_time=ms, run_name=name).info.run_id
        return self.run_id

    def params(self, values: Mapping[str, Any], ms: int) -> None:
        from mlflow.entities import Param

        every = [Param(key, str(value)[:_LONGEST_PARAM]) for key, value in values.items()]
        for start in range(0, len(every), _MOST_PARAMS):
            self._batch(params=every[start : start + _MOST_PARAMS])

    def tags(self, values: Mapping[str, str], ms: int) -> None:
        from mlflow.entities import RunTag

        self._batch(tags=[RunTag(key, value) for key, value in values.items()])

    def dataset(self, name: str, digest: str, ms: int) -> None:
        """`digest` is the `<md5>.dir` that DVC and Dagster know: 36 characters, MLflow's limit."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"uri": f"magictalk:{name}"})
        entry = Dataset(name=name, digest=digest, source_type="magictalk", source=source)
        tags = [InputTag("mlflow.data.context", "training")]
        self._store.client.log_inputs(self.run_id, datasets=[DatasetInput(dataset=entry, tags=tags)])

    def metrics(self, values: Sequence[tuple[str, float, int, int]], ms: int) -> None:
        """(name, value, step, time in milliseconds) of many steps."""
        from mlflow.entities import Metric

        self._batch(metrics=[Metric(name, value, when, step) for name, value, step, when in values])

    def artifact(self, path: str, folder: str | None, ms: int) -> None:
        if not Path(path).is_file():
            logger.warning("MLflow: %s is no longer there and is not stored", Path(path).name)
            return
        self._store.client.log_artifact(self.run_id, path, folder)

    def attach(self, known: str, path: str, folder: str, ms: int) -> None:
        """A file that belongs to the run `known` and came after its end: the run stays finished when it was."""
        if not self._store.has_run(known):
            logger.warning("MLflow: the run %s is gone, %s is not stored there", known, Path(path).name)
        elif not Path(path).is_file():
            logger.warning("MLflow: %s is no longer there and is not stored", path)
        else:
            self._store.client.log_artifact(known, path, folder)

    def finish(self, ms: int) -> None:
        self._store.client.set_terminated(self.run_id, end_time=ms)

    def _batch(self, **entries: Any) -> None:
        """One call for all: a call per value is a transaction per value."""
        self._store.client.log_batch(self.run_id, **entries)


def send_pending(folder: Path, journal: Journal, store: ExperimentStore, run: MlflowRun) -> None:
    """Send what waits in the run directory `folder`; what was sent is dropped from the journal at once.

    Raises whatever the store, its client or the network raise where they do not answer. What MLflow refuses is dropped,
    and said.
    """
    from mlflow.exceptions import MlflowException

    if not run.run_id and journal.records and journal.records[0]["do"] not in ("start", "attach"):
        _start(folder, run, journal.records[0]["ms"])
    for count, record in list(batches(journal.records)):
        try:
            _send(folder, run, record)
        except MlflowException as error:
            if error.error_code not in _REFUSED:
                raise
            logger.warning("MLflow refuses a record of this training (%s): it is left out", record["do"])
            logger.debug("refused: %s", error)
        journal.drop(count)


def _send(folder: Path, run: MlflowRun, record: Mapping[str, Any]) -> None:
    arguments = dict(record)
    name = arguments.pop("do")
    if name == "start":
        _start(folder, run, arguments["ms"])
    elif name == "attach":
        note = RunNote.read(folder)
        run.attach(note.run_id if note else "", **arguments)
    else:
        getattr(run, name)(**arguments)


def _start(folder: Path, run: MlflowRun, ms: int) -> None:
    note = RunNote.read(folder)
    if note is None:
        raise FileNotFoundError(f"{folder}: no mlflow_run.json: this training never began to report")
    run_id = run.start(note.experiment, note.name, note.run_id, ms)
    if run_id != note.run_id:
        replace(note, run_id=run_id).write(folder)
