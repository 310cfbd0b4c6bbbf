"""What DVC keeps of itself in a repository and writes in place: a kill or a full disk leaves it empty or cut."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

__all__ = ["damaged_dvc_files", "set_damaged_aside"]

logger = logging.getLogger("magictalk.steps")

_SECOND_LOOK_S = 0.3
"""Another DVC command may be in the middle of writing: what it leaves is whole a moment later."""


def damaged_dvc_files(root: Path) -> list[Path]:
    """The lock table and the record of the DVC repository at `root`, where they are there and DVC cannot read them."""
    checks: dict[Path, Callable[[str], bool]] = {
        root / ".dvc" / "tmp" / "rwlock": _is_lock_table,
        root / "dvc.lock": _is_record,
    }
    found = [path for path, is_whole in checks.items() if not _is_readable(path, is_whole)]
    if found:
        time.sleep(_SECOND_LOOK_S)
    return [path for path in found if not _is_readable(path, checks[path])]


def set_damaged_aside(root: Path) -> None:
    """Rename damaged files, so that DVC begins new ones; only while no DVC command runs in `root`.

    The lock table tells of running commands alone. Of the record the stages come back when they are run or committed.
    """
    for path in damaged_dvc_files(root):
        aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        path.rename(aside)
        logger.warning("%s cannot be read, as after a kill or a full disk: set aside as %s", path, aside.name)


def _is_readable(path: Path, is_whole: Callable[[str], bool]) -> bool:
    if not path.is_file():
        return True
    try:
        return is_whole(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError):
        return False


def _is_lock_table(text: str) -> bool:
    table: Any = json.loads(text)
    return isinstance(table, dict) and all(isinstance(part, dict) for part in table.values())


def _is_record(text: str) -> bool:
    record: Any = yaml.load(text, yaml.CSafeLoader)
    return isinstance(record, dict) and "schema" in record and isinstance(record.get("stages", {}), dict)
