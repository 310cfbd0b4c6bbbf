"""Whether a file can be written, asked before the work that it shall hold."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from magictalk_core.errors import MachineError, UserError

__all__ = ["ROOM_BYTES", "must_be_writable", "must_take_files"]

ROOM_BYTES = 1 << 20
"""Free space below which nothing is begun."""

_LONGEST_NAME = 255
"""Bytes of a file's name, on every file system in use."""
_TEMPORARY_BYTES = 48
"""What a temporary name beside the file needs."""


def must_be_writable(output: Path, option: str = "-o") -> None:
    """Raise where `output` cannot be written as a file: `UserError` in one line that begins with `option` and its path.

    A full disk is a `MachineError`. Nothing is left behind; folders that are missing are not made.
    """
    said = f"{option} {output}"
    try:
        if output.is_dir():
            raise UserError(f"{said}: a folder, expected the name of a file")
        if len(os.fsencode(output.suffix)) > _LONGEST_NAME - _TEMPORARY_BYTES:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    except OSError as error:
        raise UserError(f"{said}: {error.strerror}: choose another name") from error
    must_take_files(output.parent, said, output.name)


def must_take_files(folder: Path, said: str, *names: str) -> None:
    """Raise where no file can be made in `folder`, or where that would be made. `said` begins the line.

    The same errors as `must_be_writable`.
    """
    missing = list(names)
    try:
        while not os.path.lexists(folder):
            missing.append(folder.name)
            folder = folder.parent
        if not folder.is_dir():
            raise UserError(f"{said}: {folder} is no folder: choose another place")
        if any(len(os.fsencode(name)) > _LONGEST_NAME for name in missing):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        with tempfile.TemporaryFile(dir=folder, prefix=".tmp-") as file:
            file.write(b"\0")
        _must_have_room(folder, said)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MachineError(f"{said}: {error.strerror}: make room on that disk") from error
        step = "choose another name" if error.errno == errno.ENAMETOOLONG else f"choose another place than {folder}"
        raise UserError(f"{said}: {error.strerror}: {step}") from error


def _must_have_room(folder: Path, said: str) -> None:
    disk = os.statvfs(folder)
    # A file system that counts nothing, such as /proc, says so when it is written to.
    if disk.f_blocks and disk.f_bavail * disk.f_frsize < ROOM_BYTES:
        raise MachineError(
            f"{said}: {os.strerror(errno.ENOSPC)}: make room on that disk, at least {ROOM_BYTES >> 20} MB"
        )
