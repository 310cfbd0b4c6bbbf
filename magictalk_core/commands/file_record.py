"""Provenance records of jobs on single files: beside the file that a command writes, wherever that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from magictalk_core.media.picture_folder import names_pictures
from magictalk_core.work.provenance import Input, Work, input_of
from magictalk_core.workspace import absolute

__all__ = ["file_input", "file_work"]


def file_input(kind: str, path: Path) -> Input:
    """A file of the user's, by its hash; of a pattern for pictures the folder of them."""
    found = path.parent if names_pictures(path) and not path.exists() else path
    return input_of(None, kind, absolute(found))


def file_work(
    kind: str,
    output: Path,
    version: str,
    inputs: Sequence[Input],
    settings: Mapping[str, Any],
    home: Path | None = None,
) -> Work:
    """`home`: the workspace whose models made it, which keeps a copy of the record to know the file again."""
    return Work(home, kind, absolute(output), version, inputs, settings)
