"""The records against what Dagster, DVC and MLflow say of the same things. A disagreement names both values.

What Dagster's event log holds is handed in from above, by asset and partition; `dvc.lock` and MLflow are asked here.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from magictalk_core.errors import PermanentError
from magictalk_core.lineage.registry import Registry
from magictalk_core.work.provenance import Provenance

__all__ = ["Disagreement", "asset_of", "check_dagster", "check_dvc", "check_mlflow"]

_SHARD = re.compile(r"corpora/([^/]+)/dataset/(media|blendshapes|speech)/(.+)\.parquet")
_OF_CORPUS = {"source", "index", "clips", "manifest", "snapshot", "card"}
_SAME_NAME = {
    "arkit_dataset", "training_set", "rig", "generated", "refined", "scores", "set_scores", "seed_scores",
    "lip_ablation", "external_videos", "picture_motion", "picture_scores", "paper",
}  # fmt: skip
_OTHER_NAME = {
    "summary": "tables/summary", "claims": "tables/claims", "gain": "tables/gain", "comparison": "videos/comparison",
    "user_study": "figures/user_study", "grids": "videos/grids",
    **{name: f"tables/{name}" for name in ("table1", "table2", "table3", "table4", "ablations")},
    **{name: f"figures/{name}" for name in ("figure4", "figure6", "figure9")},
}  # fmt: skip

_SQLITE, _WEIGHTS_TAG = "sqlite:///", "weights_md5"


@dataclass(frozen=True)
class Disagreement:
    """One output of which a record and another system do not say the same."""

    system: str
    name: str
    record: str
    other: str

    def __str__(self) -> str:
        return f"{self.name}: its record says {self.record}, {self.system} says {self.other}"


def asset_of(record: Provenance) -> tuple[str, str | None] | None:
    """The asset and partition that an output is of; None for what is no asset's, or not the whole of one."""
    shard = _SHARD.fullmatch(record.name)
    if shard is not None:
        return f"{shard[1]}/{shard[2]}", shard[3]
    if record.kind in _OF_CORPUS:
        corpus = record.name.removeprefix("manifests/").removesuffix(".json") if record.kind == "manifest" else None
        return f"{corpus or record.name.split('/')[1]}/{record.kind}", None
    if record.kind in ("model", "release"):
        return f"{'models' if record.kind == 'model' else 'release'}/{record.name.split('/')[1]}", None
    if record.kind in _SAME_NAME:
        return record.kind, None
    return (_OTHER_NAME[record.kind], None) if record.kind in _OTHER_NAME else None


def check_dagster(
    registry: Registry, records: list[Provenance], versions: Mapping[tuple[str, str | None], str]
) -> list[Disagreement]:
    """`versions`: (asset, partition) -> newest data version in the event log. What Dagster never made is left out."""
    found = []
    for record in records:
        place = asset_of(record)
        version = versions.get(place) if place is not None else None
        if version is not None and version != record.version:
            found.append(Disagreement("Dagster's event log", record.name, record.version, version))
    return found


def check_dvc(registry: Registry, records: list[Provenance]) -> list[Disagreement]:
    """Snapshots against `dvc.lock` of the workspace."""
    lock = registry.workspace.home / "dvc.lock"
    if not lock.is_file():
        return []
    try:
        stages: Mapping[str, Any] = (yaml.load(lock.read_bytes(), yaml.CSafeLoader) or {}).get("stages", {})
    except yaml.YAMLError as error:
        raise PermanentError(
            f"{lock}: no YAML: {' '.join(str(error).split())}: `magictalk run` sets it aside"
        ) from error
    found = []
    for record in records:
        if record.kind != "snapshot":
            continue
        corpus = record.name.split("/")[1]
        outs = stages.get(f"dataset@{corpus}", {}).get("outs", [])
        locked = next((str(out["md5"]) for out in outs if str(out.get("md5", "")).endswith(".dir")), "nothing")
        if locked != record.md5:
            found.append(Disagreement("dvc.lock", record.name, record.md5, locked))
    return found


def check_mlflow(registry: Registry, records: list[Provenance]) -> list[Disagreement]:
    """The weights of models against the tag of their MLflow runs. Raises MLflow's errors where it cannot be asked."""
    tracked = [record for record in records if record.kind == "model" and record.mlflow_run]
    if not tracked:
        return []
    weights = _weights_in(registry.workspace.mlflow_uri, [str(record.mlflow_run) for record in tracked])
    found = []
    for record in tracked:
        run_id = str(record.mlflow_run)
        said = weights.get(run_id, f"that there is no run {run_id}")
        if said != record.version:
            found.append(Disagreement(f"MLflow run {run_id}", record.name, record.version, said))
    return found


def _weights_in(uri: str, runs: Sequence[str]) -> dict[str, str]:
    """Run -> its tag of the weights, `nothing` without one; a run that is not there is left out."""
    if uri.startswith(_SQLITE):
        # Importing MLflow takes seconds of every run, to ask its database for these few values.
        with suppress(sqlite3.Error):
            return _weights_in_database(Path(uri.removeprefix(_SQLITE)), runs)
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client, found = MlflowClient(uri), {}
    for run_id in runs:
        try:
            found[run_id] = client.get_run(run_id).data.tags.get(_WEIGHTS_TAG, "nothing")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    return found


def _weights_in_database(database: Path, runs: Sequence[str]) -> dict[str, str]:
    """`_weights_in` of an SQLite file with MLflow's tables `runs` and `tags`, opened for reading alone."""
    marks = ",".join("?" * len(runs))
    asked = (
        "SELECT runs.run_uuid, tags.value FROM runs LEFT JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = ? "
        f"WHERE runs.run_uuid IN ({marks})"
    )
    with closing(sqlite3.connect(f"file:{quote(str(database.resolve()))}?mode=ro", uri=True)) as store:
        return {run: weights or "nothing" for run, weights in store.execute(asked, [_WEIGHTS_TAG, *runs])}
