"""One process at a time, by a file lock that the system releases when its holder dies, `kill -9` included."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from magictalk_core.errors import UserError
from magictalk_core.storage.machine import writing

__all__ = ["held_or_refused", "one_at_a_time"]


def _opened(lock: Path) -> TextIO:
    with writing(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("a+")


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Hold `lock`, waiting for whoever holds it now."""
    with _opened(lock) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def held_or_refused(lock: Path, what: str) -> Iterator[None]:
    """Hold `lock`; when another process holds it, a `UserError` that names `what` and that process."""
    with _opened(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise UserError(f"{what} is in use by process {holder}: wait until it ends, or stop it") from None
        with writing(lock):
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield
