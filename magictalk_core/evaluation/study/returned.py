"""Answers taken into the workspace: checked together with those that are there, before any is copied."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from magictalk_core.evaluation.study.definition import read_returned, read_study
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.workspace import Workspace

__all__ = ["add_returned"]


def add_returned(workspace: Workspace, files: Sequence[Path]) -> tuple[int, int]:
    """Copy returned files to `study/returned/`; how many are new, and how many there are now.

    Raises `UserError` naming the file that cannot count, with nothing copied: another study's, a participant twice.
    """
    study = read_study(workspace.study / "key.json")
    folder = workspace.study / "returned"
    there = sorted(folder.glob("*.json"))
    known = {path.read_bytes() for path in there}
    new = [path for path in files if not (path.is_file() and path.read_bytes() in known)]
    answers = read_returned([*there, *new], study)
    for path in new:
        (participant,) = read_returned([path], study)
        with atomic_path(folder / f"{participant}.json") as temporary:
            shutil.copyfile(path, temporary)
    return len(new), len(answers)
