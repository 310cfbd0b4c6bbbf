"""What a training has to say to MLflow, on disk before it is sent: an outage, or a kill, loses nothing.

::

    <run>/mlflow_run.json        experiment, name, and the id of the run once the store has given one
    <run>/mlflow_pending.jsonl   records that are not in the store yet, one JSON object a line, in order; gone when none

Every record says when it was made, so that sending it twice changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.machine import writing

__all__ = ["Journal", "RunNote", "batches", "pending_runs"]

Record = dict[str, Any]
"""`do` names a method of `sending.MlflowRun`, `ms` is the time, the rest are its arguments."""

_PENDING, _NOTE = "mlflow_pending.jsonl", "mlflow_run.json"
_MOST = 1000
"""Metrics that MLflow takes in one call."""


@dataclass(frozen=True)
class RunNote:
    """Which MLflow run a training reports to; `run_id` is empty until the store has answered."""

    experiment: str = ""
    name: str = ""
    run_id: str = ""

    @classmethod
    def read(cls, run: Path) -> RunNote | None:
        file = run / _NOTE
        return cls(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None

    def write(self, run: Path) -> None:
        write_text(run / _NOTE, json.dumps(asdict(self), indent=1))


class Journal:
    """The records of one run directory that wait."""

    def __init__(self, run: Path) -> None:
        self.path = run / _PENDING
        self.records: list[Record] = []
        if self.path.is_file():
            self.records = list(_whole_lines(self.path.read_text(encoding="utf-8")))

    def add(self, record: Record) -> None:
        self.records.append(record)
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def drop(self, count: int) -> None:
        """The first `count` records are in the store."""
        del self.records[:count]
        if self.records:
            write_text(self.path, "".join(json.dumps(record) + "\n" for record in self.records))
        else:
            self.path.unlink(missing_ok=True)


def _whole_lines(text: str) -> Iterator[Record]:
    """A kill may leave the last line unfinished; it was never sent, and the training that goes on says it again."""
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def batches(records: list[Record]) -> Iterator[tuple[int, Record]]:
    """(number of records, record to send): metrics of many steps in a row become one call."""
    at = 0
    while at < len(records):
        if records[at]["do"] != "metrics":
            yield 1, records[at]
            at += 1
            continue
        values: list[list[Any]] = []
        start = at
        while at < len(records) and records[at]["do"] == "metrics":
            here = records[at]["values"]
            if values and len(values) + len(here) > _MOST:
                break
            values += here
            at += 1
        yield at - start, {"do": "metrics", "values": values, "ms": records[at - 1]["ms"]}


def pending_runs(models: Path) -> list[Path]:
    """Run directories below `models` with records that wait, the oldest first."""
    files = models.glob(f"*/*/{_PENDING}")
    return [file.parent for file in sorted(files, key=lambda file: file.stat().st_mtime)]
