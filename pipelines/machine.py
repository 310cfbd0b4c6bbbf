"""Trouble of the machine that reaches the command line: the words of `storage.machine`, and what has no errno."""

from __future__ import annotations

import os
import re
import sqlite3

from magictalk_core.errors import MachineError
from magictalk_core.storage.machine import GO_ON, machine_trouble

__all__ = ["machine_error", "machine_error_of_text"]

_NO_MEMORY = f"no memory left: free some, {GO_ON}"
# SQLite has no errno: Dagster and MLflow keep their records in it.
_SQLITE = {
    "disk is full": "make room on that disk",
    "readonly database": "make that folder writable",
    "unable to open database": "make that folder writable",
}
_ERRNO = re.compile(r"\[Errno (\d+)\] [^:']*(?:: '(.+)')?")


def machine_error(error: BaseException) -> MachineError | None:
    """What an exception, or one that led to it, says about the machine; None when it is about something else."""
    if isinstance(error, MachineError):
        return error
    if isinstance(error, MemoryError):
        return MachineError(_NO_MEMORY)
    if isinstance(error, PermissionError):
        return MachineError(f"{error.filename or 'a file'}: {error.strerror}: permit it, or choose another place")
    trouble = machine_trouble(error, written=True)
    if trouble is not None:
        return MachineError(trouble)
    if isinstance(error, sqlite3.OperationalError):
        for words, remedy in _SQLITE.items():
            if words in str(error):
                return MachineError(f"a database of the workspace: {error}: {remedy}, {GO_ON}")
    return None if error.__cause__ is None else machine_error(error.__cause__)


def machine_error_of_text(kind: str | None, text: str) -> MachineError | None:
    """As `machine_error`, from what Dagster keeps of an exception: the name of its class and its text."""
    if kind == "MemoryError":
        return machine_error(MemoryError())
    if kind == "OperationalError":
        return machine_error(sqlite3.OperationalError(text.strip()))
    told = _ERRNO.search(text)
    return machine_error(OSError(int(told[1]), os.strerror(int(told[1])), told[2])) if told else None
