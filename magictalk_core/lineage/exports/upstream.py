"""The records behind a record, found by name and hash: the one that lies beside the output, or its copy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from magictalk_core.errors import PermanentError
from magictalk_core.work.provenance import Input, Provenance, archived_path, read_record, record_path

__all__ = ["current_records", "record_behind", "upstream_records"]


def record_behind(home: Path, used: Input) -> Provenance | None:
    """The record of an input as it was read; None for raw files and registrations, which have none."""
    for path in (record_path(home / used.name), archived_path(home, used.md5, used.kind)):
        if path.is_file():
            record = read_record(path)
            if record.md5 == used.md5 and record.kind == used.kind:
                return record
    return None


def upstream_records(home: Path, record: Provenance) -> list[Provenance]:
    """Every record that `record` was made from, itself first, each once."""
    found = {(record.kind, record.name, record.md5): record}
    waiting = [record]
    while waiting:
        for used in waiting.pop().inputs:
            behind = record_behind(home, used)
            if behind is not None and (behind.kind, behind.name, behind.md5) not in found:
                found[behind.kind, behind.name, behind.md5] = behind
                waiting.append(behind)
    return list(found.values())


def current_records(home: Path) -> Iterator[Provenance]:
    """The record beside every output of the workspace, in the order of their paths.

    Raises `PermanentError` where one cannot be read: `magictalk audit` says what is wrong.
    """
    beside = [*home.rglob(".*.provenance.json"), *home.glob("corpora/*/provenance/**/*.json")]
    for path in sorted(beside):
        try:
            yield read_record(path)
        except PermanentError as error:
            raise PermanentError(f"{error}: `magictalk audit` names all that is damaged") from error
