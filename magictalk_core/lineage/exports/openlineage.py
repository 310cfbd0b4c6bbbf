"""OpenLineage run events from provenance records: a START and a COMPLETE for every piece of work that left one.

A run here is one piece of work; the Dagster run that it was part of is its parent. Inputs and outputs are named by
their absolute paths, as the standard names local files, and carry their hashes as versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from magictalk_core.storage.schema import TABLES, TableSpec
from magictalk_core.work.provenance import Provenance

__all__ = ["PRODUCER", "run_events"]

PRODUCER = "https://pypi.org/project/magictalk"
_SPEC = "https://openlineage.io/spec"
_NAMESPACE = "magictalk"

_TABLE_OF_KIND = {
    "index": "clips",
    "clips": "clips",
    "media": "media",
    "blendshapes": "frames",
    "speech": "speech",
    "generated": "motion",
    "refined": "motion",
    "scores": "scores",
    "set_scores": "set_scores",
    "picture_motion": "motion",
    "picture_scores": "picture_scores",
}


def run_events(home: Path, records: Iterable[Provenance]) -> Iterator[dict[str, Any]]:
    """Two events for each record, as JSON values."""
    for record in records:
        yield _event(home, record, "START", record.made - timedelta(seconds=record.seconds))
        yield _event(home, record, "COMPLETE", record.made)


def _event(home: Path, record: Provenance, kind: str, at: datetime) -> dict[str, Any]:
    return {
        "eventType": kind,
        "eventTime": at.isoformat(),
        "producer": PRODUCER,
        "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": str(_run_id(record)), "facets": _run_facets(record)},
        "job": {
            "namespace": _NAMESPACE,
            "name": f"{record.kind}/{record.name}",
            "facets": {
                "jobType": _facet("2-0-4", "JobTypeJobFacet")
                | {"processingType": "BATCH", "integration": "MAGICTALK", "jobType": record.kind.upper()}
            },
        },
        "inputs": [_dataset(home, one.name, one.md5, None) for one in record.inputs],
        "outputs": [
            {
                **_dataset(home, record.name, record.md5, TABLES.get(_TABLE_OF_KIND.get(record.kind, ""))),
                "outputFacets": {
                    "outputStatistics": _facet("1-0-2", "OutputStatisticsOutputDatasetFacet")
                    | {"fileCount": len(record.files)}
                },
            }
        ],
    }


def _run_id(record: Provenance) -> UUID:
    return uuid5(NAMESPACE_URL, f"{record.kind}:{record.name}:{record.md5}:{record.made.isoformat()}")


def _facet(version: str, name: str) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}"}


def _run_facets(record: Provenance) -> dict[str, Any]:
    engine = {"name": "magictalk", "version": record.code.version}
    facets: dict[str, Any] = {"processing_engine": _facet("1-1-1", "ProcessingEngineRunFacet") | engine}
    if record.dagster_run is not None and _is_uuid(record.dagster_run):
        parent = {"run": {"runId": record.dagster_run}, "job": {"namespace": _NAMESPACE, "name": "dagster"}}
        facets["parent"] = _facet("1-2-0", "ParentRunFacet") | parent
    made_with = record.model_dump(mode="json", include={"settings", "weights", "stand_ins", "preset", "code", "clips"})
    custom = {"_producer": PRODUCER, "_schemaURL": f"{PRODUCER}#/$defs/ProvenanceRunFacet"}
    return facets | {"magictalk_provenance": {**custom, **made_with, "mlflowRun": record.mlflow_run}}


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _dataset(home: Path, name: str, md5: str, spec: TableSpec | None) -> dict[str, Any]:
    facets: dict[str, Any] = {"version": _facet("1-0-1", "DatasetVersionDatasetFacet") | {"datasetVersion": md5}}
    if spec is not None:
        fields = [
            {"name": column.name, "type": str(column.type), "description": column.description}
            for column in spec.columns
        ]
        facets["schema"] = _facet("1-2-0", "SchemaDatasetFacet") | {"fields": fields}
    return {"namespace": "file", "name": (home / name).as_posix(), "facets": facets}
