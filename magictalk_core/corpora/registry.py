"""The registered corpora of a workspace: one small YAML file each.

In memory an entry's paths are absolute. In its file a path below the workspace is written relative to it, and one below
`$MAGICTALK_RAW` with that name in front: then the same workspace works where either is mounted elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from magictalk_core.corpora.entry import UNKNOWN_LICENCE, CorpusEntry, is_corpus_name
from magictalk_core.corpora.kinds import KINDS, corpus_of
from magictalk_core.errors import UserError
from magictalk_core.storage.atomic import write_text
from magictalk_core.workspace import Workspace, absolute

RAW_ROOT = "MAGICTALK_RAW"
"""The variable that names the folder below which raw corpora lie on this machine."""

__all__ = ["RAW_ROOT", "add_corpus", "list_corpora", "load_corpus", "new_entry", "view_names"]


def new_entry(
    *,
    name: str,
    kind: str,
    root: Path,
    labels: Path | None = None,
    licence: str = UNKNOWN_LICENCE,
    **options: Any,
) -> CorpusEntry:
    """An entry from command-line values; paths become absolute. Raises `UserError` naming what is wrong.

    `$MAGICTALK_RAW` in front of a path is the folder that the environment names so.
    """
    where = f"corpus `{name}`"
    values = {"name": name, "kind": kind, "root": absolute(_expanded(root, where)), "licence": licence, **options}
    if labels is not None:
        values["labels"] = absolute(_expanded(labels, where))
    return _validated(values, where)


def view_names(text: str) -> tuple[str, ...]:
    """`front,left_30` as names of views."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _validated(values: Any, where: str) -> CorpusEntry:
    try:
        entry = CorpusEntry.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            ": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, "))))
            for e in error.errors()
        )
        raise UserError(f"{where}: {problems}") from error
    try:
        corpus_of(entry)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    return entry


def _check_paths(entry: CorpusEntry) -> None:
    if not entry.root.is_dir():
        raise UserError(f"corpus `{entry.name}`: expected a folder at {entry.root}, found none: check --root")
    if entry.labels is not None and not entry.labels.is_file():
        raise UserError(f"corpus `{entry.name}`: expected a CSV file at {entry.labels}, found none: check --labels")


def add_corpus(workspace: Workspace, entry: CorpusEntry, replace: bool = False) -> None:
    """Write `corpus.yaml`. Adding the same entry again changes nothing; another entry of that name needs `replace`."""
    _check_paths(entry)
    file = workspace.corpus_file(entry.name)
    if entry.buckets is None:
        entry = entry.model_copy(update={"buckets": _buckets(workspace, entry)})
    if file.is_file() and not replace:
        if _read(workspace, file) == entry:
            return
        raise UserError(
            f"corpus `{entry.name}` is already registered with other settings in {file}: choose another name, or "
            "replace it with --replace"
        )
    write_text(file, yaml.safe_dump(_portable(workspace, entry), sort_keys=False, allow_unicode=True))


def _buckets(workspace: Workspace, entry: CorpusEntry) -> int | None:
    """As many shards as an earlier entry of this corpus had, so that every clip keeps its own; else by the number of
    files that are here now. None: the kind's usual number."""
    file, kind = workspace.corpus_file(entry.name), KINDS[entry.kind]
    if file.is_file() and (known := _read(workspace, file)).kind == entry.kind:
        return known.buckets
    if kind.files_per_bucket is None or kind.buckets is None:
        return None
    files = sum(1 for path in entry.root.rglob("*") if path.suffix.lower() in kind.suffixes)
    wanted = min(-(-files // kind.files_per_bucket), _MOST_BUCKETS)
    return wanted if wanted > kind.buckets else None


def load_corpus(workspace: Workspace, name: str) -> CorpusEntry:
    """The entry of that name. Raises `UserError` naming the registered ones."""
    file = workspace.corpus_file(name) if is_corpus_name(name) else None
    if file is None or not file.is_file():
        known = ", ".join(entry.name for entry in list_corpora(workspace)) or "none"
        raise UserError(
            f"no corpus `{name}` in {workspace.corpora} (registered: {known}): add it with "
            "`magictalk corpus add NAME --kind KIND --root FOLDER`"
        )
    return _read(workspace, file)


def list_corpora(workspace: Workspace) -> list[CorpusEntry]:
    """All entries by name; the raw folders need not be there."""
    return [_read(workspace, file) for file in sorted(workspace.corpora.glob("*/corpus.yaml"))]


def _read(workspace: Workspace, file: Path) -> CorpusEntry:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{file} is no valid YAML: {' '.join(str(error).split())}") from error
    if isinstance(values, dict):
        values = {**values, **_absolute_paths(workspace, values, str(file))}
    entry = _validated(values, str(file))
    if entry.name != file.parent.name:
        raise UserError(f"{file}: expected the name of its folder, `{file.parent.name}`, found `{entry.name}`")
    return entry


_PATHS = ("root", "labels")

_MOST_BUCKETS = 1000


def _expanded(path: Path, where: str) -> Path:
    """The path with `$MAGICTALK_RAW` at its front replaced. Raises `UserError` where nothing names that folder here."""
    if path.parts[:1] != (f"${RAW_ROOT}",):
        return path
    raw = os.environ.get(RAW_ROOT)
    if not raw:
        raise UserError(f"{where}: {path}: {RAW_ROOT} is not set: export {RAW_ROOT}=FOLDER, where the raw corpora lie")
    return Path(raw, *path.parts[1:])


def _absolute_paths(workspace: Workspace, values: dict[str, Any], where: str) -> dict[str, Path]:
    """The paths of a corpus file; relative ones count from the workspace."""
    written = {name: Path(values[name]) for name in _PATHS if isinstance(values.get(name), str)}
    return {name: absolute(workspace.home / _expanded(path, where)) for name, path in written.items()}


def _portable(workspace: Workspace, entry: CorpusEntry) -> dict[str, Any]:
    """The entry as it is written."""
    values = entry.model_dump(mode="json")
    home, raw = absolute(workspace.home), os.environ.get(RAW_ROOT)
    for name in _PATHS:
        path = getattr(entry, name)
        if path is None:
            continue
        if raw and path.is_relative_to(absolute(Path(raw))):
            values[name] = (Path(f"${RAW_ROOT}") / path.relative_to(absolute(Path(raw)))).as_posix()
        elif path.is_relative_to(home):
            values[name] = path.relative_to(home).as_posix()
    return values
