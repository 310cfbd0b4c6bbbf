"""What provenance records say of the outputs that they lie beside, after each record was checked by its own seal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from magictalk_core.errors import PermanentError
from magictalk_core.lineage.integrity.claims import Claim, Claims
from magictalk_core.lineage.integrity.findings import Finding, Kind
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.sealed import is_sealed_whole
from magictalk_core.work.provenance import Provenance, archived_path, read_record, record_path
from magictalk_core.workspace import Workspace

__all__ = ["add_records", "twin_of_record"]

_REMEDY = "`magictalk run` makes it again"


def add_records(workspace: Workspace, claims: Claims) -> None:
    """The claims of every record beside an output; the archive of former records is checked for itself."""
    archive = workspace.home / "provenance" / "records"
    for path in _record_files(claims):
        record = _whole(path, claims)
        if record is None:
            continue
        claims.sources.add(path)
        output = workspace.home / record.name
        is_archived = path.is_relative_to(archive)
        home = archived_path(workspace.home, record.md5, record.kind) if is_archived else record_path(output)
        if home != path:
            what = f"holds the record of {record.name}: remove it, then `magictalk run`"
            claims.findings.append(Finding(claims.shown(path), Kind.SWAPPED, what))
            claims.in_the_dark.add(_output_of(path))
        elif not is_archived:
            claims.add(_claims_of(record, output, claims.shown(path)))
        if record.clips is not None:
            file = workspace.home / record.clips.file
            claims.add([Claim(file, record.clips.md5, claims.shown(path), f"remove it, then {_REMEDY}", is_fixed=True)])


def _record_files(claims: Claims) -> Iterator[Path]:
    for place in claims.places:
        parts = claims.shown(place.path).split("/")
        in_archive = parts[:2] == ["provenance", "records"]
        of_dataset = parts[0] == "corpora" and parts[2:3] == ["provenance"]
        if not place.is_temporary and (in_archive or of_dataset or parts[-1].endswith(".provenance.json")):
            yield place.path


def twin_of_record(claims: Claims, path: Path) -> Path | None:
    """A whole file with the record that should lie at `path`: the archived one of the output as it is now, or of an
    archived record the one beside its output. None where there is none."""
    for other in _record_files(claims):
        if other == path or not is_sealed_whole(other.read_bytes()):
            continue
        record = read_record(other)
        output = claims.home / record.name
        if archived_path(claims.home, record.md5, record.kind) == path and record_path(output) == other:
            return other
        if record_path(output) == path and _is_of(record, output):
            return other
    return None


def _is_of(record: Provenance, output: Path) -> bool:
    """Whether the record says of the output what is there."""
    claimed = list(_claims_of(record, output, ""))
    return bool(claimed) and all(claim.file.is_file() and file_md5(claim.file) == claim.md5 for claim in claimed)


def _whole(path: Path, claims: Claims) -> Provenance | None:
    """The record, None after it was found damaged."""
    try:
        if is_sealed_whole(path.read_bytes()):
            return read_record(path)
    except PermanentError as error:
        why = str(error)
    else:
        why = "its seal is not that of its content: remove it, then `magictalk run`"
    claims.damaged_source(path, why, _output_of(path))
    return None


def _output_of(path: Path) -> Path:
    """The output beside which a record lies, by the record's name alone."""
    if path.name.startswith("."):
        return path.with_name(path.name.removeprefix(".").removesuffix(".provenance.json"))
    parts = [*path.parts]
    at = len(parts) - 1 - parts[::-1].index("provenance")
    return Path(*parts[:at], "dataset", *parts[at + 1 :]).with_suffix(".parquet")


def _claims_of(record: Provenance, output: Path, by: str) -> Iterator[Claim]:
    """A record of a file lists its name; that of a folder lists paths in it, and names of what belongs to it beside."""
    folder = output.parent if output.name in record.files else output
    for name, md5 in record.files.items():
        beside = output.parent / name
        yield Claim(beside if beside.exists() else folder / name, md5, by, _REMEDY)
