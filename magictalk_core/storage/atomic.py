"""Outputs appear whole or not at all: write to a temporary name beside the target, fsync, rename."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from magictalk_core.storage.machine import writing

__all__ = ["atomic_directory", "atomic_path", "write_if_changed", "write_text"]


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path with the target's suffix; rename it to `target` when the block ends without error.

    Raises `MachineError` where there is no room, no permission or no disk to write to.
    """
    temporary = target.with_name(f".tmp-{uuid.uuid4().hex[:12]}{target.suffix}")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _fsync(temporary)
            os.replace(temporary, target)
            _fsync(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Like `atomic_path` for a directory; an existing `target` is replaced as a whole."""
    temporary = target.with_name(f".tmp-{target.name}-{uuid.uuid4().hex[:12]}")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        try:
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    _fsync(file)
            _replace_directory(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _replace_directory(new: Path, target: Path) -> None:
    if target.exists():
        old = target.with_name(f".tmp-old-{target.name}-{uuid.uuid4().hex[:12]}")
        os.replace(target, old)
        os.replace(new, target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.replace(new, target)
    _fsync(target.parent)


def write_text(target: Path, text: str) -> None:
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_if_changed(target: Path, text: str) -> None:
    """`write_text`, where the file does not say so already: an equal one keeps its time."""
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        write_text(target, text)
