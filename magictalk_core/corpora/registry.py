"""The registered corpora of a workspace: one small YAML file each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from magictalk_core.corpora.entry import UNKNOWN_LICENCE, CorpusEntry, is_corpus_name
from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.errors import UserError
from magictalk_core.storage.atomic import write_text
from magictalk_core.workspace import Workspace, absolute

__all__ = ["add_corpus", "list_corpora", "load_corpus", "new_entry", "view_names"]


def new_entry(
    *,
    name: str,
    kind: str,
    root: Path,
    labels: Path | None = None,
    licence: str = UNKNOWN_LICENCE,
    **options: Any,
) -> CorpusEntry:
    """An entry from command-line values; paths become absolute. Raises `UserError` naming what is wrong."""
    values = {"name": name, "kind": kind, "root": absolute(root), "licence": licence, **options}
    if labels is not None:
        values["labels"] = absolute(labels)
    return _validated(values, f"corpus `{name}`")


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
    text = yaml.safe_dump(entry.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    if file.is_file():
        if file.read_text(encoding="utf-8") == text:
            return
        if not replace:
            raise UserError(
                f"corpus `{entry.name}` is already registered with other settings in {file}: choose another name, or "
                "replace it with --replace"
            )
    write_text(file, text)


def load_corpus(workspace: Workspace, name: str) -> CorpusEntry:
    """The entry of that name. Raises `UserError` naming the registered ones."""
    file = workspace.corpus_file(name) if is_corpus_name(name) else None
    if file is None or not file.is_file():
        known = ", ".join(entry.name for entry in list_corpora(workspace)) or "none"
        raise UserError(
            f"no corpus `{name}` in {workspace.corpora} (registered: {known}): add it with "
            "`magictalk corpus add NAME --kind KIND --root FOLDER`"
        )
    return _read(file)


def list_corpora(workspace: Workspace) -> list[CorpusEntry]:
    """All entries by name; the raw folders need not be there."""
    return [_read(file) for file in sorted(workspace.corpora.glob("*/corpus.yaml"))]


def _read(file: Path) -> CorpusEntry:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{file} is no valid YAML: {' '.join(str(error).split())}") from error
    entry = _validated(values, str(file))
    if entry.name != file.parent.name:
        raise UserError(f"{file}: expected the name of its folder, `{file.parent.name}`, found `{entry.name}`")
    return entry
