"""Constants of a frozen TensorFlow graph, by name, without TensorFlow.

A `.pb` file is one `GraphDef` message. A `.pbmm` file is TensorFlow's memory-mapped package (tensorflow/core/util/
memmapped_file_system_writer.cc): regions one after the other, behind them a `MemmappedFileSystemDirectory` message, and
in the last 8 bytes, little-endian, the offset of that directory. Region `memmapped_package://.` is the `GraphDef`; its
larger constants are `ImmutableConst` nodes that name a region instead of holding their values.

The file is mapped, not read, and only the constants that are asked for are copied. Sizes are checked against the bytes
that are there before anything is allocated.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.weights.wire import fields

__all__ = ["read_constants"]

_ROOT = "memmapped_package://."
_FLOAT = 1
_MAX_FIELDS = 100_000
"""Fields of one message; the published graphs have 200 nodes."""
_MAX_SIDE = 1 << 16
_MAX_FILLED = 1 << 20
"""Elements of a constant that is stored as fewer values, the last one repeated."""

Message = dict[int, list[int | memoryview]]
Float32s = NDArray[np.float32]


def read_constants(path: Path, names: Sequence[str]) -> dict[str, Float32s]:
    """Copies of the float32 constants `names` of a `.pb` or `.pbmm` file.

    Raises `PermanentError` for a file that is no such graph, a constant that is not there, of another type, or larger
    than the file.
    """
    try:
        with path.open("rb") as file:
            # Not closed by hand: views of it may still live. It goes with the last of them.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _constants(memoryview(mapped), names)
    except (PermanentError, ValueError) as error:  # mmap refuses an empty file with ValueError
        raise PermanentError(f"{path}: no frozen TensorFlow graph with the constants expected: {error}") from None


def _constants(data: memoryview, names: Sequence[str]) -> dict[str, Float32s]:
    regions = _regions(data)
    graph = data if regions is None else regions.get(_ROOT)
    if graph is None:
        raise PermanentError(f"the package has no region `{_ROOT}`")
    wanted, found = set(names), dict[str, Float32s]()
    for node in _children(graph, 1):
        name = _text(node, 1)
        if name in wanted:
            found[name] = _constant(name, node, regions or {})
    if missing := sorted(wanted - set(found)):
        raise PermanentError(f"no node {', '.join(missing)}")
    return found


def _regions(data: memoryview) -> dict[str, memoryview] | None:
    """The regions of a memory-mapped package by name; None for any other file."""
    # A GraphDef begins with its first node: field 1 with a length. A package begins with a region's bytes, and ends
    # with the offset of a directory that must fit.
    if len(data) < 8:
        return None
    offset = int.from_bytes(data[-8:], "little")
    if offset >= len(data) - 8:
        return None
    regions: dict[str, memoryview] = {}
    try:
        for element in _children(data[offset:-8], 1):
            begin, length = _number(element, 1), _number(element, 3)
            if begin + length > offset:
                raise PermanentError("a region of the package ends behind the regions")
            regions[_text(element, 2)] = data[begin : begin + length]
    except PermanentError:
        if _ROOT not in regions:
            return None
        raise
    return regions if _ROOT in regions else None


def _constant(name: str, node: Message, regions: Mapping[str, memoryview]) -> Float32s:
    operator = _text(node, 2)
    attributes = {_text(entry, 1): _child(entry, 2) for entry in _submessages(node, 5)}
    if operator == "Const":
        tensor = _child(attributes.get("value", {}), 8)
        shape = _shape(name, _child(tensor, 2))
        kind, content = _number(tensor, 1), _first_view(tensor, 4)
    elif operator == "ImmutableConst":
        tensor = {}
        shape = _shape(name, _child(attributes.get("shape", {}), 7))
        kind = _number(attributes.get("dtype", {}), 6)
        content = regions.get(_text(attributes.get("memory_region_name", {}), 2))
    else:
        raise PermanentError(f"node {name} is a `{operator}`, expected a constant")
    if kind != _FLOAT:
        raise PermanentError(f"node {name} has TensorFlow's type {kind}, expected 1 (float)")
    return _values(name, shape, content, tensor)


def _values(name: str, shape: tuple[int, ...], content: memoryview | None, tensor: Message) -> Float32s:
    """The values in `content`, or in the tensor's `float_val` fields, whose last may stand for all that follow."""
    size = math.prod(shape)
    if content is not None and len(content):
        # A region of a package may be longer than its tensor.
        if len(content) < 4 * size:
            raise PermanentError(f"node {name} of shape {shape} has {len(content)} bytes, expected {4 * size}")
        return np.frombuffer(content, "<f4", size).reshape(shape).astype(np.float32)
    views = [view for view in tensor.get(5, []) if isinstance(view, memoryview)]
    if any(len(view) % 4 for view in views):
        raise PermanentError(f"node {name} has a broken list of values")
    values = np.concatenate([np.frombuffer(view, "<f4") for view in views]) if views else np.zeros(0, np.float32)
    if not 0 < len(values) <= size or (len(values) < size and size > _MAX_FILLED):
        raise PermanentError(f"node {name} of shape {shape} has {len(values)} values, expected {size}")
    return np.pad(values, (0, size - len(values)), mode="edge").reshape(shape).astype(np.float32)


def _shape(name: str, shape: Message) -> tuple[int, ...]:
    sides = tuple(_number(dimension, 1) for dimension in _submessages(shape, 2))
    if len(sides) > 4 or any(not 0 < side <= _MAX_SIDE for side in sides):
        raise PermanentError(f"node {name} has the shape {sides}")
    return sides


# --- messages as dictionaries of fields ----------------------------------------------------------------------------


def _message(data: memoryview) -> Message:
    message: Message = {}
    for count, (number, value) in enumerate(fields(data)):
        if count >= _MAX_FIELDS:
            raise PermanentError(f"a message has more than {_MAX_FIELDS} fields")
        message.setdefault(number, []).append(value)
    return message


def _children(data: memoryview, number: int) -> Iterator[Message]:
    return (_message(view) for view in _message(data).get(number, []) if isinstance(view, memoryview))


def _submessages(message: Message, number: int) -> Iterator[Message]:
    return (_message(view) for view in message.get(number, []) if isinstance(view, memoryview))


def _first_view(message: Message, number: int) -> memoryview | None:
    # The last one counts where a field that holds one value comes twice.
    views = [view for view in message.get(number, []) if isinstance(view, memoryview)]
    return views[-1] if views else None


def _child(message: Message, number: int) -> Message:
    view = _first_view(message, number)
    return {} if view is None else _message(view)


def _number(message: Message, number: int) -> int:
    values = [value for value in message.get(number, []) if isinstance(value, int)]
    return values[-1] if values else 0


def _text(message: Message, number: int) -> str:
    view = _first_view(message, number)
    return "" if view is None else bytes(view[:4096]).decode("utf-8", "replace")
