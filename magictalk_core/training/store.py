"""The MLflow store that `MLFLOW_TRACKING_URI` or the workspace names: its client, and its experiments by name."""

from __future__ import annotations

import logging
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from magictalk_core.errors import UserError

__all__ = ["ARTIFACTS", "ExperimentStore"]

logger = logging.getLogger("magictalk.training")

_SQLITE = "sqlite:///"
_DATABASES = ("postgresql", "mysql", "mssql")
ARTIFACTS = "MAGICTALK_MLFLOW_ARTIFACTS"
_DELETED, _UNKNOWN = "deleted", "RESOURCE_DOES_NOT_EXIST"
"""MLflow's words for what somebody removed."""
_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""What the user interface goes by: without it MLflow opens an experiment in the view of language models."""
_ENVIRONMENT = {
    # Its own are 7 tries with growing pauses, four minutes a call, in which nothing would be trained.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


class ExperimentStore:
    """No process-wide state but MLflow's patience, which a user's environment overrides.

    A relative path in `sqlite:///data/mlflow.db` counts from the current folder, as SQLAlchemy has it. Artefacts of new
    experiments go to `$MAGICTALK_MLFLOW_ARTIFACTS`, a folder or `s3://...`; unset, beside an SQLite file, or where a
    server says. Raises `UserError` for another database without it: MLflow would fill the current folder.
    """

    def __init__(self, uri: str) -> None:
        self._artifacts = os.environ.get(ARTIFACTS) or None
        if uri.startswith("postgresql://"):
            # SQLAlchemy 2.1 takes another driver where none is named.
            raise UserError(
                "MLFLOW_TRACKING_URI: expected postgresql+psycopg2://USER@HOST/NAME, found postgresql://..."
            )
        if uri.startswith(_DATABASES) and self._artifacts is None:
            raise UserError(
                f"{uri.partition('://')[0]}: {ARTIFACTS} is not set: export {ARTIFACTS}=FOLDER, or s3://..."
            )
        if uri.startswith(_SQLITE):
            database = Path(uri.removeprefix(_SQLITE)).resolve()
            database.parent.mkdir(parents=True, exist_ok=True)
            self._artifacts = self._artifacts or (database.parent / "artifacts").as_uri()
            uri = f"{_SQLITE}{database}"
        self.uri = uri

    @cached_property
    def client(self) -> Any:
        """Imported at the first call: MLflow takes seconds, and work that is finished already logs nothing."""
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        # That import sets up its loggers; what it says about its tables is not for our users.
        for noisy in ("alembic", "mlflow"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        return MlflowClient(self.uri, registry_uri=self.uri)

    def experiment(self, name: str) -> str:
        """The id of an experiment; made where it is missing, restored where somebody deleted it."""
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return str(self.client.create_experiment(name, artifact_location=self._artifacts, tags=_KIND))
        if found.lifecycle_stage == _DELETED:
            logger.warning("the MLflow experiment %s was deleted: it is restored for this training", name)
            self.client.restore_experiment(found.experiment_id)
        for key, value in _KIND.items():
            if found.tags.get(key) != value:
                self.client.set_experiment_tag(found.experiment_id, key, value)
        return str(found.experiment_id)

    def has_run(self, run_id: str) -> bool:
        """Whether a run is there and nobody deleted it."""
        from mlflow.exceptions import MlflowException

        try:
            return bool(self.client.get_run(run_id).info.lifecycle_stage != _DELETED)
        except MlflowException as error:
            if error.error_code == _UNKNOWN:
                return False
            raise
