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


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def materialization(
    path: Path,
    version: str,
    timer: Timer,
    *,
    spec: TableSpec | None = None,
    rows: int | None = None,
    columns: dg.TableColumnLineage | None = None,
    in_dvc: bool = False,
    **counts: Any,
) -> dict[str, Any]:
    """Path, content version, duration, size, and for a table its schema, row count and where its `columns` come from;
    `counts` are domain numbers.

    `in_dvc`: DVC's cache knows the output by this very hash; another version of ours is called `md5`.
    """
    metadata: dict[str, Any] = {"path": dg.MetadataValue.path(path), "duration_s": timer.seconds, "bytes": _size(path)}
    metadata["dvc.md5" if in_dvc else "md5"] = version
    if rows is not None:
        metadata["dagster/row_count"] = rows
    if columns is not None:
        metadata["dagster/column_lineage"] = columns
    if spec is not None:
        metadata["dagster/column_schema"] = column_schema(spec)
    return metadata | counts
