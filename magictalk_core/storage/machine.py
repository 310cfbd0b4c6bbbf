"""Which system errors are trouble of the machine: they stop a run, and are never the reason why a clip is left out."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from magictalk_core.errors import MachineError

__all__ = ["GO_ON", "machine_trouble", "writing"]

GO_ON = "then give the same command again, which goes on with what is finished"

_REMEDY = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room in your disk quota",
    errno.EROFS: "make that folder writable",
    errno.EMFILE: "allow more open files (`ulimit -n`)",
    errno.ENFILE: "let other programs close files",
}
"""What no input file can bring about, whatever was being done."""

_REMEDY_IN_WRITING = {
    errno.EACCES: "make that folder writable",
    errno.EPERM: "make that folder writable",
    errno.EFBIG: "allow larger files (`ulimit -f`), or use another file system",
    errno.EIO: "look at that disk",
    errno.ESTALE: "look at the connection to that disk",
    errno.ENOMEM: "free some memory",
}
"""What an input file may bring about when it is read, but not when a file of ours is written: FFmpeg says EIO of a file
that breaks off."""


def machine_trouble(error: BaseException, where: str | os.PathLike[str] = "", written: bool = False) -> str | None:
    """One line for a `MachineError` when `error` is trouble of the machine, else None.

    `where` stands for the file that the error does not name itself; `written`: a file of ours was being written.
    """
    if not isinstance(error, OSError) or error.errno is None:
        return None
    remedy = _REMEDY.get(error.errno) or (_REMEDY_IN_WRITING.get(error.errno) if written else None)
    if remedy is None:
        return None
    name = error.filename or os.fspath(where)
    said = os.strerror(error.errno)
    return f"{name}: {said}: {remedy}, {GO_ON}" if name else f"{said}: {remedy}, {GO_ON}"


@contextmanager
def writing(target: str | os.PathLike[str]) -> Iterator[None]:
    """System errors inside the block that are the machine's become `MachineError`; all others stay what they are."""
    try:
        yield
    except OSError as error:
        trouble = machine_trouble(error, target, written=True)
        if trouble is None:
            raise
        raise MachineError(trouble) from error
