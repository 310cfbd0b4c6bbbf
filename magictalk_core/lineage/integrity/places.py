"""Which files of a workspace are results, and which keep its books or belong to other programs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

__all__ = ["TEMPORARY", "Place", "files_of_workspace", "is_bookkeeping", "is_piece"]

TEMPORARY = ".tmp-"
"""How the names of what is being written begin (`storage/atomic.py`)."""

_OTHERS = ("dagster", "mlflow", ".git", ".dvc", "logs", "raw")
"""Databases and logs that change while they are used, and raw clips. Of `.dvc` the cache is checked, by its names."""

_BOOKS = (
    "dvc.yaml", "dvc.lock", "params.yaml", "preset.yaml", ".dvcignore", ".gitignore", ".gitattributes",
    "corpora/*/corpus.yaml", "models/*/current.json", "models/*/newest.json",
    "models/*/preset.yaml", "models/*/*/mlflow_run.json", "models/*/*/curves.svg", "releases/*",
    "tables/metrics.json", "*.lock",
)  # fmt: skip
"""Settings, locks and pointers: written by people, or again by any command, and small enough to stand in Git."""


_PIECE_FOLDERS = frozenset(("media", "blendshapes", "speech", "headers"))
_PIECE = re.compile(r"cache/\w+/[0-9a-f]{2}/[0-9a-f]{32}\.\w+")


@dataclass(frozen=True)
class Place:
    """A file of the workspace. `is_temporary`: of a write that did not end; a folder of one counts as one file."""

    path: Path
    is_temporary: bool


def is_bookkeeping(relative: str) -> bool:
    """Whether the file at this path, relative to the workspace, is no result.

    Of the cache only what shards are put together from is a result: the rest is looked up again when it is gone.
    """
    parts = relative.split("/")
    if parts[0] == "cache" and parts[1] not in _PIECE_FOLDERS:
        return True
    return any(fnmatchcase(relative, pattern) for pattern in _BOOKS)


def is_piece(relative: str) -> bool:
    """Whether the file is named as a piece of the cache: one that no shard lists is not needed now, and no fault."""
    return _PIECE.fullmatch(relative) is not None


def files_of_workspace(home: Path, raw: set[Path]) -> Iterator[Place]:
    """The files below `home` without those of other programs, sorted; `raw` are folders of raw files, left out too."""
    left_out = {home / name for name in _OTHERS} | raw
    for folder, below, files in os.walk(home):
        here = Path(folder)
        kept = sorted(name for name in below if here / name not in left_out)
        half = [name for name in kept if name.startswith(TEMPORARY)]
        below[:] = [name for name in kept if name not in half]
        yield from (Place(here / name, True) for name in half)
        yield from (Place(here / name, name.startswith(TEMPORARY)) for name in sorted(files))
