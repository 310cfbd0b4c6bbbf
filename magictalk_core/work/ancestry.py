"""What stands behind an output: the models that made it, what they learned from, and the runs that trained them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magictalk_core.errors import PermanentError
from magictalk_core.work.provenance import Input, Provenance, archived_path, read_record, record_path

__all__ = ["Ancestry", "ancestry_of"]


@dataclass
class Ancestry:
    """By content: no path of this machine, no name of a person. Empty where nothing is recorded, as of the models that
    come with the package."""

    models: list[dict[str, Any]] = field(default_factory=list)
    training_sets: list[str] = field(default_factory=list)
    snapshots: list[dict[str, str]] = field(default_factory=list)


def ancestry_of(home: Path | None, inputs: Sequence[Input]) -> Ancestry:
    """Follow the records of a workspace upwards from the inputs of some work, nearest first. `snapshots` are the
    datasets by the digest that Dagster, DVC and MLflow share."""
    found, seen = Ancestry(), set[tuple[str, str]]()
    waiting = list(inputs)
    while waiting:
        one = waiting.pop(0)
        if (one.kind, one.md5) in seen:
            continue
        seen.add((one.kind, one.md5))
        record = _record(home, one)
        if one.kind == "model":
            found.models.append(_model(one, record))
        elif one.kind == "training_set":
            found.training_sets.append(one.md5)
        elif one.kind == "manifest":
            found.snapshots.append({"corpus": Path(one.name).stem, "digest": one.md5})
        if record is not None and one.kind != "manifest":
            waiting += record.inputs
    return found


def _model(one: Input, record: Provenance | None) -> dict[str, Any]:
    said: dict[str, Any] = {"name": _short(one.name), "md5": one.md5}
    if record is None:
        return said
    sets = [other.md5 for other in record.inputs if other.kind == "training_set"]
    said |= {"version": record.work_version, "training_set": sets[0] if sets else None, "mlflow_run": record.mlflow_run}
    return {key: value for key, value in said.items() if value is not None}


def _short(name: str) -> str:
    """Of a path outside of the workspace its last two parts: `magictalk-base/emodiff`."""
    return "/".join(Path(name).parts[-2:]) if name.startswith("/") else name


def _record(home: Path | None, one: Input) -> Provenance | None:
    """Of just this content, where the workspace or the place beside it still has one."""
    if home is None:
        return None
    for path in (archived_path(home, one.md5, one.kind), record_path(home / one.name)):
        try:
            record = read_record(path)
        except (OSError, PermanentError):
            continue
        if record.md5 == one.md5 and record.kind == one.kind:
            return record
    return None
