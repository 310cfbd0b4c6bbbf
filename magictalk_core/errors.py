"""The project's exceptions. A message says what was expected, what was found, where, and what to type next."""

from __future__ import annotations

import errno
import sqlite3

__all__ = ["MachineError", "MagicTalkError", "PermanentError", "TransientError", "UserError", "machine_trouble"]


class MagicTalkError(Exception):
    """Base of every error that this project raises on purpose."""


class TransientError(MagicTalkError):
    """Worth another try: the network, a lock, a busy device."""


class PermanentError(MagicTalkError):
    """Another try gives the same result: corrupt data, a missing file, a broken contract."""


class UserError(PermanentError):
    """Bad input from the person at the keyboard; the command line prints it as one line and exits with 2."""


class MachineError(MagicTalkError):
    """Trouble of the machine: no space, read-only, no memory, too many files; nothing was recorded, go on later."""


_NO_SPACE = "no space left on the disk: free some, then type the same command again"
_READ_ONLY = "cannot be written: mend that, or choose another folder with --home or $MAGICTALK_HOME"
_NO_PERMISSION = "no permission for it: mend that, or choose another folder with --home or $MAGICTALK_HOME"
_TOO_MANY_FILES = "too many open files: raise the limit (`ulimit -n 4096`), then type the same command again"
_NO_MEMORY = "not enough memory: end other programs, then type the same command again"
_TROUBLE = {
    errno.ENOSPC: _NO_SPACE,
    errno.EDQUOT: _NO_SPACE,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _NO_PERMISSION,
    errno.EPERM: _NO_PERMISSION,
    errno.EMFILE: _TOO_MANY_FILES,
    errno.ENFILE: _TOO_MANY_FILES,
    errno.ENOMEM: _NO_MEMORY,
}
# SQLite has no errno: Dagster and MLflow keep their records in it.
_SQLITE_TROUBLE = {"disk is full": _NO_SPACE, "readonly database": _READ_ONLY, "unable to open database": _READ_ONLY}


def machine_trouble(error: BaseException) -> MachineError | None:
    """What an exception says about the machine, as one line with what to do; None when it is about something else."""
    if isinstance(error, MemoryError):
        return MachineError(_NO_MEMORY)
    if isinstance(error, OSError) and error.errno in _TROUBLE:
        return MachineError(f"{f'{error.filename}: ' if error.filename else ''}{_TROUBLE[error.errno]}")
    if isinstance(error, sqlite3.OperationalError):
        for words, advice in _SQLITE_TROUBLE.items():
            if words in str(error):
                return MachineError(f"a database of the workspace: {advice}")
    return None if error.__cause__ is None else machine_trouble(error.__cause__)
