"""Trained models in MLflow's registry: logged models with our files, versions of `magictalk-<family>`, aliases.

A version holds the whole model folder (safetensors and JSON), so that it can be had again, bit for bit, where the run
directory is gone. Aliases: `champion` is what users get, `previous` what it replaced, `challenger` the newest.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magictalk_core.errors import PermanentError, TransientError
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.hashes import file_md5
from magictalk_core.training.run import TrainedModel
from magictalk_core.training.store import ExperimentStore

__all__ = ["CHALLENGER", "CHAMPION", "PREVIOUS", "ModelRegistry", "ModelVersion", "registered_name"]

logger = logging.getLogger("magictalk.release")

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
DECISION, REASON = "release.decision", "release.reason"
"""Tags of a version: what was decided about it last, and why."""

_RECORDS = ("result.json", "curves.csv", "preset.yaml")
"""What of a run directory goes with its model, so that the run can be had again without the checkpoints."""
_RUN = "run"
_LONGEST_TAG = 5000
"""Characters that MLflow takes; the whole reason is in the description."""
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""MLflow's codes for an unknown name, and for an unknown alias of a known name."""


def registered_name(family: str) -> str:
    return f"magictalk-{family}"


@dataclass(frozen=True)
class ModelVersion:
    """One registered version. `run` names the run directory, `source` where MLflow keeps the files."""

    family: str
    number: int
    run: str
    weights_md5: str
    source: str
    mlflow_run: str
    aliases: tuple[str, ...]
    created_ms: int
    reason: str


class ModelRegistry:
    """The registry of one MLflow store. Every call raises `TransientError` while the store does not answer."""

    def __init__(self, uri: str) -> None:
        self._store = ExperimentStore(uri)

    def register(self, family: str, trained: TrainedModel, tags: Mapping[str, str] | None = None) -> ModelVersion:
        """The version of a finished run; made on the first call, the same ever after."""
        run = trained.path.parent
        known = [version for version in self.versions(family) if version.run == run.name]
        if known:
            return known[0]
        facts = {"weights_md5": trained.weights_md5, "magictalk.run": run.name, **(tags or {})}
        with self._answering() as client:
            logged = self._logged_model(client, family, trained, facts)
            self._make_sure_of(client, family)
            made = client.create_model_version(
                registered_name(family),
                source=logged.artifact_location,
                run_id=logged.source_run_id,
                # Without a run MLflow would look for the model in its default store, whatever store this is.
                model_id=logged.model_id if logged.source_run_id else None,
                tags=facts,
            )
            return _version(family, made)

    def _logged_model(self, client: Any, family: str, trained: TrainedModel, facts: Mapping[str, str]) -> Any:
        """A logged model with the model folder and the records of its run as files."""
        experiment = self._store.experiment(f"magictalk/{family}")
        source = trained.run_id if trained.run_id and self._store.has_run(trained.run_id) else None
        logged = client.create_logged_model(
            experiment, name=trained.path.parent.name[:12], source_run_id=source, tags=dict(facts), model_type=family
        )
        client.log_model_artifacts(logged.model_id, str(trained.path))
        with tempfile.TemporaryDirectory() as folder:
            for name in _RECORDS:
                if (trained.path.parent / name).is_file():
                    shutil.copy(trained.path.parent / name, folder)
            client.log_model_artifacts(logged.model_id, folder, _RUN)
        return client.finalize_logged_model(logged.model_id, "READY")

    def _make_sure_of(self, client: Any, family: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(registered_name(family))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def versions(self, family: str) -> list[ModelVersion]:
        """Newest first; none of a family that nothing was registered of."""
        with self._answering() as client:
            found = client.search_model_versions(f"name = '{registered_name(family)}'")
            # A search leaves the aliases out on some stores.
            aliases = self._aliases(client, family) if found else {}
        versions = [_version(family, each, aliases) for each in found]
        return sorted((v for v in versions if v.run), key=lambda version: -version.number)

    def _aliases(self, client: Any, family: str) -> dict[str, int]:
        return {
            alias: int(number) for alias, number in client.get_registered_model(registered_name(family)).aliases.items()
        }

    def at(self, family: str, alias: str) -> ModelVersion | None:
        """The version that an alias names; None where nothing does."""
        return next((version for version in self.versions(family) if alias in version.aliases), None)

    def point(self, family: str, alias: str, number: int) -> None:
        """Move an alias."""
        with self._answering() as client:
            client.set_registered_model_alias(registered_name(family), alias, str(number))

    def note(self, family: str, number: int, decision: str, reason: str, page: str) -> None:
        """Say of a version what was decided about it and why; `page` is the same as Markdown, with the numbers."""
        with self._answering() as client:
            client.update_model_version(registered_name(family), str(number), page)
            for key, value in ((DECISION, decision), (REASON, reason[:_LONGEST_TAG])):
                client.set_model_version_tag(registered_name(family), str(number), key, value)

    def fetch(self, version: ModelVersion, out: Path) -> None:
        """Have the run of a version again in `out`, from the files in MLflow.

        Raises `PermanentError` when the weights there are not those that were registered.
        """
        from mlflow.artifacts import download_artifacts

        with tempfile.TemporaryDirectory() as scratch, self._answering():
            found = Path(download_artifacts(version.source, dst_path=scratch, tracking_uri=self._store.uri))
            if file_md5(found / "model.safetensors") != version.weights_md5:
                raise PermanentError(
                    f"version {version.number} of {registered_name(version.family)}: the weights in MLflow are not "
                    f"those that were registered (md5 {version.weights_md5}): take another version"
                )
            with atomic_directory(out / version.run) as folder:
                shutil.copytree(found / _RUN, folder, dirs_exist_ok=True)
                shutil.copytree(found, folder / "model", ignore=shutil.ignore_patterns(_RUN, "MLmodel"))
        logger.info("%s version %d: fetched from MLflow into %s", registered_name(version.family), version.number, out)

    @contextmanager
    def _answering(self) -> Iterator[Any]:
        """The client. A store that is down is worth another try, what it refuses is not."""
        import requests
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import OperationalError

        try:
            yield self._store.client
        except (requests.RequestException, OperationalError, MlflowException) as error:
            said = " ".join(str(error).split())[:300]
            refused = isinstance(error, MlflowException) and error.error_code in _MISSING
            kind = PermanentError if refused else TransientError
            raise kind(
                f"the model registry at {self._store.uri} does not answer ({said}): trained models are kept; start "
                "MLflow, then type `magictalk run` again"
            ) from error


def _version(family: str, found: Any, aliases: Mapping[str, int] | None = None) -> ModelVersion:
    number = int(found.version)
    names = sorted(alias for alias, pointed in (aliases or {}).items() if pointed == number)
    return ModelVersion(
        family,
        number,
        found.tags.get("magictalk.run", ""),
        found.tags.get("weights_md5", ""),
        found.source,
        found.run_id or "",
        tuple(names),
        int(found.creation_timestamp),
        found.tags.get(REASON, ""),
    )
