"""The metadata that every materialization carries, built in one place."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import dagster as dg

from magictalk_core.storage.schema import TableSpec


def column_schema(spec: TableSpec) -> dg.TableSchema:
    """Dagster's column schema, generated from the table contract."""
    columns = [
        dg.TableColumn(
            name=c.name,
            type=str(c.type),
            description=f"{c.description}{f' [{c.unit}]' if c.unit else ''}",
            constraints=dg.TableColumnConstraints(nullable=c.nullable),
        )
        for c in spec.columns
    ]
    return dg.TableSchema(columns)


class Timer:
    """Seconds since the body of an asset began."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self._start, 3)


def materialization(
    path: Path, version: str, timer: Timer, *, spec: TableSpec | None = None, rows: int | None = None, **counts: Any
) -> dict[str, Any]:
    """Path, content version, duration, and for a table its schema and row count; `counts` are domain numbers."""
    metadata: dict[str, Any] = {"path": dg.MetadataValue.path(path), "dvc.md5": version, "duration_s": timer.seconds}
    if path.is_file():
        metadata["bytes"] = path.stat().st_size
    if rows is not None:
        metadata["dagster/row_count"] = rows
    if spec is not None:
        metadata["dagster/column_schema"] = column_schema(spec)
    return metadata | counts
