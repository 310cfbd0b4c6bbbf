"""One process at a time, by a file lock that the system releases when its holder dies, `kill -9` included."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from magictalk_core.errors import TransientError, UserError
from magictalk_core.storage.machine import writing

__all__ = ["held_or_refused", "one_at_a_time", "shared_with_others", "waited_for"]

logger = logging.getLogger("magictalk.locks")

_LOOK_AGAIN_S = 0.2


def _opened(lock: Path) -> TextIO:
    with writing(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("a+")


def _sign(lock: Path, file: TextIO) -> None:
    """Write into a held lock who holds it."""
    with writing(lock):
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()


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
        _sign(lock, file)
        yield


@contextmanager
def waited_for(lock: Path, what: str, wait_s: float) -> Iterator[None]:
    """Hold `lock` alone, waiting at most `wait_s` for whoever holds it; then a `TransientError` that names it."""
    with _held(lock, what, wait_s, fcntl.LOCK_EX) as file:
        _sign(lock, file)
        yield


@contextmanager
def shared_with_others(lock: Path, what: str, wait_s: float) -> Iterator[None]:
    """Hold `lock` beside others who share it; `waited_for` has it only when none of them does."""
    with _held(lock, what, wait_s, fcntl.LOCK_SH):
        yield


@contextmanager
def _held(lock: Path, what: str, wait_s: float, how: int) -> Iterator[TextIO]:
    end, said = time.monotonic() + wait_s, False
    with _opened(lock) as file:
        while True:
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
            if time.monotonic() >= end:
                raise TransientError(f"{what} is being written by process {holder}: wait until it ends, or stop it")
            if not said:
                logger.info("%s is being written by process %s: waiting for it", what, holder)
                said = True
            time.sleep(_LOOK_AGAIN_S)
        yield file
