"""The length that the header of a WMV or WMA file declares, which the library takes only from files that are whole."""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["asf_duration"]

_HEAD = 65_536
_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_FIELDS = struct.Struct("<Q16s6QI")
"""Behind the object's id: its size, the file's id, the file's size, when it was made, the number of its packets, how
long it plays and how long it takes to send (100 ns), what is buffered before (ms), flags."""
_BROADCAST = 1
"""Flag of a file whose writer did not go back to its header."""


def asf_duration(path: Path) -> float | None:
    """Seconds; None where the header does not say. Raises `OSError`."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    at = head.find(_FILE_PROPERTIES)
    fields = head[at + len(_FILE_PROPERTIES) :][: _FIELDS.size]
    if at < 0 or len(fields) < _FIELDS.size:
        return None
    *_, plays, _, buffered_ms, flags = _FIELDS.unpack(fields)
    seconds = plays / 1e7 - buffered_ms / 1e3
    return float(seconds) if seconds > 0 and not flags & _BROADCAST else None
