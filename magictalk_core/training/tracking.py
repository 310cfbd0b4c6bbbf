"""Where a training run reports to: MLflow, or memory for tests and for training without a store."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

__all__ = ["MemoryTracker", "MlflowTracker", "RunTracker"]

logger = logging.getLogger("magictalk.training")


class RunTracker(Protocol):
    """One training run. `start` with the id of an interrupted run goes on with it, where it is still there."""

    def start(self, experiment: str, name: str, run_id: str | None) -> str: ...
    def params(self, values: Mapping[str, Any]) -> None: ...
    def tags(self, values: Mapping[str, str]) -> None: ...
    def dataset(self, name: str, digest: str) -> None: ...
    def metrics(self, values: Mapping[str, float], step: int) -> None: ...
    def artifact(self, path: Path, folder: str | None = None) -> None: ...
    def finish(self) -> None: ...


class MemoryTracker:
    """Keeps everything in attributes."""

    def __init__(self) -> None:
        self.logged: dict[str, Any] = {"params": {}, "tags": {}, "datasets": {}, "metrics": [], "artifacts": []}
        self.finished = False

    def start(self, experiment: str, name: str, run_id: str | None) -> str:
        self.logged["experiment"] = experiment
        return run_id or f"memory-{name}"

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

    def finish(self) -> None:
        self.finished = True


_SQLITE = "sqlite:///"
_DELETED, _UNKNOWN = "deleted", "RESOURCE_DOES_NOT_EXIST"
"""MLflow's words for what somebody removed."""


class MlflowTracker:
    """Explicit logging to an MLflow store or server; no autologging, no process-wide state.

    A relative path in `sqlite:///data/mlflow.db` counts from the current folder, as SQLAlchemy has it.
    """

    def __init__(self, uri: str) -> None:
        self._artifacts: Path | None = None
        if uri.startswith(_SQLITE):
            database = Path(uri.removeprefix(_SQLITE)).resolve()
            database.parent.mkdir(parents=True, exist_ok=True)
            self._artifacts, uri = database.parent / "artifacts", f"{_SQLITE}{database}"
        self._uri = uri
        self._run_id = ""

    @cached_property
    def _client(self) -> Any:
        # Imported at the first call: MLflow takes seconds, and a training that is finished already logs nothing.
        from mlflow import MlflowClient

        # That import sets up its loggers; what it says about its tables is not for our users.
        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        return MlflowClient(self._uri)

    def start(self, experiment: str, name: str, run_id: str | None) -> str:
        """The run `run_id`, or a new one where there is none or somebody removed it."""
        experiment_id = self._experiment(experiment)
        if run_id is not None and self._is_there(run_id):
            self._client.update_run(run_id, status="RUNNING")
            self._run_id = run_id
            return run_id
        if run_id is not None:
            logger.warning("the MLflow run %s of this training is gone: going on in a new one", run_id)
        self._run_id = self._client.create_run(experiment_id, run_name=name).info.run_id
        return self._run_id

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = self._artifacts.as_uri() if self._artifacts else None
            return str(self._client.create_experiment(name, artifact_location=location))
        if found.lifecycle_stage == _DELETED:
            logger.warning("the MLflow experiment %s was deleted: it is restored for this training", name)
            self._client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def _is_there(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            return bool(self._client.get_run(run_id).info.lifecycle_stage != _DELETED)
        except MlflowException as error:
            if error.error_code == _UNKNOWN:
                return False
            raise

    def params(self, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        self._batch(params=[Param(key, str(value)) for key, value in values.items()])

    def tags(self, values: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self._batch(tags=[RunTag(key, value) for key, value in values.items()])

    def dataset(self, name: str, digest: str) -> None:
        """`digest` is the `<md5>.dir` that DVC and Dagster know: 36 characters, MLflow's limit."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = f'{{"uri": "magictalk:{name}"}}'
        entry = Dataset(name=name, digest=digest, source_type="magictalk", source=source)
        tags = [InputTag("mlflow.data.context", "training")]
        self._client.log_inputs(self._run_id, datasets=[DatasetInput(dataset=entry, tags=tags)])

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._batch(metrics=[Metric(key, value, now, step) for key, value in values.items()])

    def _batch(self, **entries: Any) -> None:
        """One call for all: a call per value is a transaction per value."""
        self._client.log_batch(self._run_id, **entries)

    def artifact(self, path: Path, folder: str | None = None) -> None:
        self._client.log_artifact(self._run_id, str(path), folder)

    def finish(self) -> None:
        self._client.set_terminated(self._run_id)
