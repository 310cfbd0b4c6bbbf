"""The registered corpora of a workspace: one small YAML file each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from magictalk_core.config import StrictModel
from magictalk_core.errors import UserError
from magictalk_core.storage.atomic import write_text
from magictalk_core.workspace import Workspace

__all__ = [
    "CorpusEntry",
    "Kind",
    "SplitScheme",
    "add_corpus",
    "is_synthetic",
    "list_corpora",
    "load_corpus",
    "new_entry",
    "view_names",
]

Kind = Literal["mead", "hdtf", "talkinghead1kh", "folder", "sample"]
SplitScheme = Literal["auto", "rank", "eat", "smirk", "emote", "official", "train"]
View = Literal["front", "down", "top", "left_30", "left_60", "right_30", "right_60"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
# First parts of the asset keys that belong to no corpus.
_RESERVED = frozenset(
    {
        "arkit_dataset",
        "cache",
        "generated",
        "lineage_report",
        "lip_ablation",
        "manifests",
        "models",
        "recipes",
        "refined",
        "release",
        "report",
        "rig",
        "scores",
        "set_scores",
        "tables",
        "training_set",
        "videos",
    }
)


class CorpusEntry(StrictModel):
    """What the user said about a corpus. The folder `root` is only ever read."""

    name: str = Field(description="first part of its clip ids: lower-case letters, digits and _")
    kind: Kind = Field(description="layout on disk")
    root: Path = Field(description="folder with the raw files, absolute")
    licence: str = Field("unknown", description="licence or terms of the raw clips; unknown: the adapter's own, if any")
    labels: Path | None = Field(None, description="folder only: CSV with path[,speaker,emotion,level,split,licence]")
    synthetic: bool | None = Field(None, description="whether the clips are made, not filmed; empty: as the kind says")
    buckets: int | None = Field(
        None, ge=1, le=1000, description="shards; default 64 for talkinghead1kh, 16 hdtf, 4 folder"
    )
    views: tuple[View, ...] = Field(("front",), min_length=1, description="mead and sample: camera views that are used")
    split: SplitScheme = Field(
        "auto",
        description="auto: eat for mead, official for talkinghead1kh, rank for the others; see corpora/splits.py",
    )

    @model_validator(mode="after")
    def _check_split(self) -> CorpusEntry:
        fits = {"official": ("talkinghead1kh",)} | dict.fromkeys(("eat", "smirk", "emote"), ("mead", "sample"))
        if self.kind not in fits.get(self.split, (self.kind,)):
            raise ValueError(
                f"split `{self.split}` is for {' and '.join(fits[self.split])}, this corpus is {self.kind}"
            )
        return self

    @property
    def n_buckets(self) -> int:
        """Shards of a corpus whose shards are buckets of its source videos."""
        return self.buckets or {"talkinghead1kh": 64, "hdtf": 16}.get(self.kind, 4)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"`{name}` is no corpus name: expected a lower-case letter, then at most 31 lower-case letters, digits "
                "or _, for example `mead` or `my_clips`"
            )
        if name in _RESERVED:
            raise ValueError(f"`{name}` is the name of an asset: choose another, for example `{name}_clips`")
        return name


def new_entry(
    *,
    name: str,
    kind: str,
    root: Path,
    labels: Path | None = None,
    licence: str = "unknown",
    **options: Any,
) -> CorpusEntry:
    """An entry from command-line values; paths become absolute. Raises `UserError` naming what is wrong."""
    values = {"name": name, "kind": kind, "root": _absolute(root), "licence": licence, **options}
    if labels is not None:
        values["labels"] = _absolute(labels)
    return _validated(values, f"corpus `{name}`")


def is_synthetic(entry: CorpusEntry) -> bool:
    """Whether the clips of the corpus are made, not filmed: a layout of filmed clips can hold made ones."""
    return entry.kind == "sample" if entry.synthetic is None else entry.synthetic


def view_names(text: str) -> tuple[str, ...]:
    """`front,left_30` as views; `all` is all seven."""
    return get_args(View) if text == "all" else tuple(name.strip() for name in text.split(",") if name.strip())


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()


def _validated(values: Any, where: str) -> CorpusEntry:
    try:
        return CorpusEntry.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            ": ".join(filter(None, (".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, "))))
            for e in error.errors()
        )
        raise UserError(f"{where}: {problems}") from error


def _check_paths(entry: CorpusEntry) -> None:
    if not entry.root.is_dir():
        raise UserError(f"corpus `{entry.name}`: expected a folder at {entry.root}, found none: check --root")
    if entry.labels is not None and entry.kind != "folder":
        raise UserError(f"corpus `{entry.name}`: labels are for --kind folder; {entry.kind} has them in its paths")
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
    file = workspace.corpus_file(name) if _NAME.fullmatch(name) else None
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
