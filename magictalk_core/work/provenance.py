"""Provenance records: what every output is, by hash, and what it was made from.

A record is a small JSON file that the call that writes an output leaves beside it, last of all. So a kill between the
two leaves an output whose record is missing or names another hash: that is seen (`Work.is_made`, the audit), and the
next run makes record or output again. For a finished clip table or a shard the record lies outside of the dataset
folder, which DVC hashes as a whole.

::

    .<name>.provenance.json                      beside the file or folder <name>
    corpora/<c>/provenance/<table>/<shard>.json  of corpora/<c>/dataset/<table>/<shard>.parquet
    provenance/records/<md5[:2]>/<md5>.<kind>.json  a copy of every record there ever was: outputs are replaced, and
                                                 what was made from an old one still must name it
    provenance/clips/<digest>.parquet            the ids of the clips behind a record, once per set of them
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from magictalk_core.config import StrictModel
from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import write_if_changed
from magictalk_core.storage.hashes import digest_of, directory_md5, file_md5
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.remembered import RememberedHashes
from magictalk_core.storage.schema import CLIP_IDS
from magictalk_core.storage.sealed import sealed
from magictalk_core.work.circumstances import CodeUsed, PresetUsed, code_used, current_dagster_run, preset_used
from magictalk_core.workspace import Workspace

__all__ = [
    "ClipSet",
    "Input",
    "Provenance",
    "Weights",
    "Work",
    "archived_path",
    "clips_digest",
    "input_of",
    "output_md5",
    "read_record",
    "record_of",
    "record_path",
]

FORMAT = 1
_SUFFIX = ".provenance.json"
_LONGEST_NAME = 255 - len(f".{_SUFFIX}")
"""Bytes of a file's name that leave room for its record's."""


class Input(StrictModel):
    """A direct input: another output by the `md5` of its record, or a raw file. `name` is relative to the workspace.

    `part`: only what this one of the input's `digests` covers was read, whose value was `part_md5`; the rest may change
    without a consequence.
    """

    kind: str
    name: str
    md5: str
    part: str | None = None
    part_md5: str | None = None


class ClipSet(StrictModel):
    """The clips behind an output: md5 over their sorted ids, how many, and the Parquet of the ids with its md5."""

    digest: str
    count: int
    file: str
    md5: str


class Weights(StrictModel):
    """A file of weights that is no output of this workspace."""

    name: str
    sha256: str


class Provenance(StrictModel):
    """One record. `made`, `seconds`, runs, code and preset say how it came about; no identity of work includes them."""

    format: int = FORMAT
    kind: str
    work_version: str = Field(description="of the code that made it; one more whenever it makes something else")
    name: str = Field(description="path relative to the workspace, or absolute where the output lies outside")
    md5: str = Field(description="of the file, or `<md5>.dir` of the directory as DVC computes it")
    files: dict[str, str] = Field(description="md5 of every file of the output, by its path below the output's folder")
    inputs: tuple[Input, ...]
    inputs_digest: str = Field(description="identity of the work: what it was made from, settings and versions of code")
    digests: dict[str, str] = Field({}, description="other names by content: `dagster` where its data version differs")
    clips: ClipSet | None = None
    settings: dict[str, Any] = Field({}, description="resolved, those that the work reads")
    preset: PresetUsed | None = None
    code: CodeUsed
    weights: tuple[Weights, ...] = ()
    stand_ins: tuple[str, ...] = ()
    mlflow_run: str | None = None
    dagster_run: str | None = None
    made: datetime
    seconds: float
    seal: str | None = Field(None, exclude=True, description="md5 of all that stands before it (`storage/sealed.py`)")

    @property
    def version(self) -> str:
        """What Dagster knows it by."""
        return self.digests.get("dagster", self.md5)


def record_path(output: Path) -> Path:
    """Where the record of a file or folder lies."""
    parts = output.parts
    # `.../corpora/<c>/dataset/<table>/<shard>.parquet`: nothing may be added inside the dataset folder.
    for i in range(len(parts) - 2, 1, -1):
        if parts[i] == "dataset" and parts[i - 2] == "corpora":
            return Path(*parts[:i], "provenance", *parts[i + 1 :]).with_suffix(".json")
    name = output.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f"{name[:40]}-{hashlib.md5(os.fsencode(name)).hexdigest()}"
    return output.parent / f".{name}{_SUFFIX}"  # `/` and `.` have no name, and no record


def archived_path(home: Path, md5: str, kind: str) -> Path:
    """Where the copy of a record lies, found by hash alone."""
    return home / "provenance" / "records" / md5[:2] / f"{md5}.{kind}.json"


def read_record(path: Path) -> Provenance:
    """The record in a file. Raises `PermanentError` when there is none or it is no record of this format."""
    try:
        return Provenance.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise PermanentError(f"{path}: no provenance record: `magictalk run` writes it anew") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise PermanentError(
            f"{path}: no provenance record of this release: {where}: {first['msg']}: remove it, then `magictalk run`"
        ) from error


def record_of(output: Path) -> Provenance | None:
    """The record of an output, None where it has none. Raises `PermanentError` when it cannot be read."""
    path = record_path(output)
    return read_record(path) if path.is_file() else None


def input_of(
    home: Path | None,
    kind: str,
    path: Path,
    md5: str | None = None,
    part: tuple[str, str] | None = None,
    is_recorded: bool = False,
) -> Input:
    """A file or folder as the input of other work, by the hash of what was read, whatever a record says of it.

    `md5` where it is known already, or where the input is named by another hash than that of its file. `part`: name and
    digest of the one part that is read. `is_recorded`: the output's record is believed, since to read it all again
    would take long.
    """
    name, digest = part or (None, None)
    if md5 is None and is_recorded:
        record = record_of(path)
        md5 = None if record is None else record.md5
    return Input(kind=kind, name=_name(home, path), md5=md5 or output_md5(path, home), part=name, part_md5=digest)


def output_md5(output: Path, home: Path | None = None) -> str:
    """md5 of a file, or DVC's `<md5>.dir` of a directory; hidden files are no part of an output.

    With the workspace at `home` a file is read again only where its size, time or inode is another
    (`storage/remembered.py`).
    """
    files = _hashed(_paths_of(output), home)
    return files[output.name] if output.is_file() else directory_md5(files.items())


def _paths_of(output: Path) -> dict[str, Path]:
    if output.is_file():
        return {output.name: output}
    files = sorted(p for p in output.rglob("*") if p.is_file() and not p.name.startswith("."))
    return {p.relative_to(output).as_posix(): p for p in files}


def _hashed(paths: Mapping[str, Path], home: Path | None) -> dict[str, str]:
    memory = _memory_of(home)
    if memory is None:
        return {name: file_md5(path) for name, path in paths.items()}
    md5s = memory.md5_of(list(paths.values()))
    return {name: md5s[path] for name, path in paths.items()}


def _memory_of(home: Path | None) -> RememberedHashes | None:
    """Of a workspace; a folder that only holds a training gets no cache."""
    if home is None or not (home / "corpora").is_dir():
        return None
    return RememberedHashes(Workspace(home).file_hashes)


def clips_digest(clip_ids: Iterable[str]) -> str:
    return hashlib.md5("\n".join(sorted(clip_ids)).encode()).hexdigest()


def _name(home: Path | None, path: Path) -> str:
    inside = home is not None and path.is_relative_to(home)
    name = path.relative_to(home).as_posix() if home is not None and inside else path.absolute().as_posix()
    # A file's name may hold bytes that are no text, and JSON holds text alone.
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _write_clips(home: Path, clip_ids: Sequence[str]) -> ClipSet:
    digest = clips_digest(clip_ids)
    path = home / "provenance" / "clips" / f"{digest}.parquet"
    md5 = file_md5(path) if path.is_file() else write_table(CLIP_IDS, [{"clip_id": clip} for clip in clip_ids], path)
    return ClipSet(digest=digest, count=len(clip_ids), file=_name(home, path), md5=md5)


@dataclass(frozen=True)
class Work:
    """Work whose output is skipped while it `is_made`, and whose `record` is written with it.

    ::

        work = Work(workspace.home, "scores", path, METRICS_VERSION, inputs, {"window": 32})
        if not work.is_made():
            write_table(SCORES, rows, path)
            work.record()

    `version` of the code, `inputs` and `settings` are all that determines the output: never times, run ids or commits.
    `known_digest`: the identity of work that has one of its own. `home` is the workspace; None where there is none.
    """

    home: Path | None
    kind: str
    output: Path
    version: str
    inputs: Sequence[Input] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    known_digest: str | None = None
    began: float = field(default_factory=time.monotonic)

    @property
    def digest(self) -> str:
        """The identity of the work. Inputs count by content: where they lie does not matter."""
        if self.known_digest is not None:
            return self.known_digest
        read = [(one.kind, one.part_md5 or one.md5) for one in self.inputs]
        return digest_of({"kind": self.kind, "version": self.version, "inputs": read, "settings": self.settings})

    def is_made(self) -> bool:
        """True when the output was made by the same work and is unchanged since, by size, time and inode of its files.

        A record that cannot be read is none: the output is made again. A flipped bit is for the audit to find.
        """
        return self.made() is not None

    def made(self) -> Provenance | None:
        """The record of the output where it `is_made`."""
        found = self._found()
        if found is None or found.inputs_digest != self.digest or found.kind != self.kind or not self.output.exists():
            return None
        if self.output.is_dir():
            return found if found.files == _hashed(_paths_of(self.output), self.home) else None
        paths = {name: self.output.parent / name for name in found.files}
        are_there = all(path.is_file() for path in paths.values())
        return found if are_there and _hashed(paths, self.home) == found.files else None

    def is_recorded(self, md5: str) -> bool:
        """True when the record says just this: an output of that hash, by this work, from these inputs."""
        found = self._found()
        return found is not None and self._is_same(found, md5) and found.inputs == tuple(self.inputs)

    def record(
        self,
        *,
        md5: str | None = None,
        clips: Iterable[str] | None = None,
        weights: Sequence[Weights] = (),
        stand_ins: Sequence[str] = (),
        mlflow_run: str | None = None,
        digests: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
        beside: Sequence[Path] = (),
        at: Path | None = None,
    ) -> Provenance:
        """Write the record of the finished output, and its copy in the workspace. One that says so already is left.

        The same output by the same work keeps how it was first made: only what is named as its inputs may have changed.
        `md5` and `files` are given where they are known or are no plain hash of the output. `beside` are files in the
        output's folder that belong to it. `at`: where the output lies now, inside a folder that will appear as a whole.
        """
        lies = at or self.output
        # Read for real, whatever is remembered: this is what others will be compared with.
        hashes = {name: file_md5(path) for name, path in _paths_of(lies).items()} if files is None else dict(files)
        if md5 is None:
            md5 = hashes[lies.name] if lies.is_file() else directory_md5(hashes.items())
        hashes |= {path.name: file_md5(path) for path in beside}
        made = Provenance(
            kind=self.kind,
            work_version=self.version,
            name=_name(self.home, self.output),
            md5=md5,
            files=hashes,
            inputs=tuple(self.inputs),
            inputs_digest=self.digest,
            digests=dict(digests or {}),
            clips=None if clips is None or self.home is None else _write_clips(self.home, sorted(set(clips))),
            settings=dict(self.settings),
            preset=None if self.home is None else preset_used(self.home),
            code=code_used(),
            weights=tuple(weights),
            stand_ins=tuple(stand_ins),
            mlflow_run=mlflow_run,
            dagster_run=current_dagster_run(),
            made=datetime.now(UTC),
            seconds=round(time.monotonic() - self.began, 3),
        )
        found = self._found()
        if found is not None and self._is_same(found, md5):
            made = made.model_copy(update={name: getattr(found, name) for name in _HOW_IT_WAS_MADE})
        text = sealed(made.model_dump_json(indent=1, exclude_none=True))
        # Where there is no workspace none is begun for a single file.
        if self.home is not None and self.home.is_dir():
            write_if_changed(archived_path(self.home, made.md5, made.kind), text)
        write_if_changed(record_path(lies), text)
        return made

    def _is_same(self, found: Provenance, md5: str) -> bool:
        return (found.kind, found.md5, found.inputs_digest) == (self.kind, md5, self.digest)

    def _found(self) -> Provenance | None:
        try:
            return record_of(self.output)
        except PermanentError:
            return None


_HOW_IT_WAS_MADE = ("code", "preset", "mlflow_run", "dagster_run", "made", "seconds")
