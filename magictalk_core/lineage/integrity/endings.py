"""Whether a file ends too early, as its own format says; for files of which nobody recorded the size."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["is_cut"]

_SAFETENSORS_HEADER = 8
"""Bytes that state the length of the header, little-endian."""


def is_cut(path: Path) -> bool:
    """True when the end of the file is missing for sure. A format that does not state its end is never cut."""
    size = path.stat().st_size
    if size == 0:
        return True
    with path.open("rb") as file:
        start = file.read(16)
        file.seek(max(0, size - 16))
        end = file.read()
        if start[:4] == b"PAR1":
            return not end.endswith(b"PAR1")
        if start[:4] == b"RIFF":
            return int.from_bytes(start[4:8], "little") + 8 > size
        if path.suffix == ".safetensors":
            return _safetensors_bytes(path, start) > size
        if start[4:8] == b"ftyp":
            return _boxes_end(path, size) > size
    if path.suffix == ".json" or start[:1] == b"{":
        return not end.rstrip().endswith((b"}", b"]"))
    return False


def _safetensors_bytes(path: Path, start: bytes) -> int:
    """Where the last tensor ends, as the header says; 0 where the header cannot be read."""
    length = int.from_bytes(start[:_SAFETENSORS_HEADER], "little")
    if length > path.stat().st_size:
        return _SAFETENSORS_HEADER + length
    with path.open("rb") as file:
        file.seek(_SAFETENSORS_HEADER)
        try:
            header = json.loads(file.read(length))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return 0
    return _SAFETENSORS_HEADER + length + max(ends, default=0)


def _boxes_end(path: Path, size: int) -> int:
    """Where the last box of an MP4 file ends, as the boxes state their lengths."""
    at = 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length < 8:
                return size  # 0: to the end of the file
            at += length
    return at if at >= size else at + 8
