"""Reading protocol buffers without their schema: the fields of a message as they lie in the file.

Not with the `protobuf` package, which copies a whole message before the first field can be read: the graph of
DeepSpeech 0.9.3 (189 MB) took 1.0 to 1.4 s and 540 MB with it, 0.2 to 0.4 s and 360 MB as views of the mapped file.
"""

from __future__ import annotations

from collections.abc import Iterator

from magictalk_core.errors import PermanentError

__all__ = ["fields", "varint"]

_FIXED = {1: 8, 5: 4}


def varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """(value, position behind it) of the variable-length integer at `position`."""
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise PermanentError("a protocol buffer ends within a number: the file is damaged")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def fields(data: bytes | memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, value) of every field of a message, in file order.

    A value is an int for variable-length integers, else a view of the bytes: 4 or 8 of them for fixed-width numbers,
    the content of a string, message or packed array otherwise. Nothing is copied. Raises `PermanentError` where the
    bytes are no message.
    """
    view, position = memoryview(data), 0
    while position < len(view):
        tag, position = varint(view, position)
        kind = tag & 7
        if kind == 0:
            number, position = varint(view, position)
            yield tag >> 3, number
            continue
        if kind == 2:
            size, position = varint(view, position)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise PermanentError(f"a protocol buffer has a field of the unknown kind {kind}: the file is damaged")
        if position + size > len(view):
            raise PermanentError("a protocol buffer ends within a field: the file is damaged")
        yield tag >> 3, view[position : position + size]
        position += size
