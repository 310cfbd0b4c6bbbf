"""Weights of the dense and recurrent layers of a `.tflite` file, without an interpreter, 8-bit values made float again.

A flatbuffer is read by its own rules (google.github.io/flatbuffers/flatbuffers_internals), with every offset checked
against the file; field numbers are those of tensorflow/lite/schema/schema.fbs. Layers are found by the operators that
use them, in the order in which they run: names of constants depend on the converter, the operators do not. An unrolled
LSTM is one `FULLY_CONNECTED` operator per step over one kernel, so a kernel counts once.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError

__all__ = ["Layer", "read_layers"]

Float32s = NDArray[np.float32]

_IDENTIFIER = b"TFL3"
_FULLY_CONNECTED = 9
_ADD = 0
_FLOAT32, _FLOAT16, _INT8 = 0, 1, 9
_TYPES = {_FLOAT32: "<f4", _FLOAT16: "<f2", _INT8: "i1"}
_MAX_SIDE = 1 << 16
_MAX_ITEMS = 100_000


@dataclass(frozen=True, eq=False)
class Layer:
    """A fully connected layer: `weights` (out, in), `bias` (out,)."""

    weights: Float32s
    bias: Float32s


@dataclass(frozen=True)
class _Table:
    """A table of a flatbuffer: where its fields lie."""

    data: memoryview
    position: int

    def _at(self, number: int) -> int | None:
        vtable = self.position - _unpack("<i", self.data, self.position)
        size = _unpack("<H", self.data, vtable)
        entry = 4 + 2 * number
        offset = _unpack("<H", self.data, vtable + entry) if entry + 2 <= size else 0
        return self.position + offset if offset else None

    def number(self, number: int, kind: str = "<i", default: int = 0) -> int:
        at = self._at(number)
        return default if at is None else _unpack(kind, self.data, at)

    def table(self, number: int) -> _Table | None:
        at = self._at(number)
        return None if at is None else _Table(self.data, at + _unpack("<I", self.data, at))

    def tables(self, number: int) -> list[_Table]:
        """A vector of tables."""
        begin, length = self._vector(number, 4)
        places = range(begin, begin + 4 * length, 4)
        return [_Table(self.data, place + _unpack("<I", self.data, place)) for place in places]

    def array(self, number: int, kind: str) -> NDArray[np.generic]:
        """A vector of numbers, as a view."""
        begin, length = self._vector(number, np.dtype(kind).itemsize)
        return np.frombuffer(self.data[begin : begin + length * np.dtype(kind).itemsize], kind)

    def _vector(self, number: int, item: int) -> tuple[int, int]:
        at = self._at(number)
        if at is None:
            return 0, 0
        begin = at + _unpack("<I", self.data, at)
        length = _unpack("<I", self.data, begin)
        if begin + 4 + length * item > len(self.data) or (item > 1 and length > _MAX_ITEMS):
            raise PermanentError("a list ends behind the file")
        return begin + 4, length


def _unpack(kind: str, data: memoryview, position: int) -> int:
    if not 0 <= position <= len(data) - struct.calcsize(kind):
        raise PermanentError("an offset points outside the file")
    value: int = struct.unpack_from(kind, data, position)[0]
    return value


def read_layers(path: Path) -> list[Layer]:
    """The fully connected layers of the first graph of a `.tflite` file, in the order in which they run first.

    Raises `PermanentError` for a file that is no such graph, is cut off, or holds weights of another kind than float32,
    float16 and 8 bits.
    """
    try:
        with path.open("rb") as file:
            # Not closed by hand: views of it may still live. It goes with the last of them.
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        if bytes(data[4:8]) != _IDENTIFIER:
            raise PermanentError(f"expected the identifier TFL3, found {bytes(data[4:8])!r}")
        return list(_layers(_Table(data, _unpack("<I", data, 0))))
    except (PermanentError, ValueError) as error:  # mmap refuses an empty file with ValueError
        raise PermanentError(f"{path}: no TensorFlow Lite graph with fully connected layers: {error}") from None


def _layers(model: _Table) -> Iterator[Layer]:
    graphs, buffers = model.tables(2), model.tables(4)
    if not graphs:
        raise PermanentError("it holds no graph")
    tensors = graphs[0].tables(0)
    operators = [_operator(operator, model.tables(1)) for operator in graphs[0].tables(3)]
    seen: set[int] = set()
    for code, inputs, outputs in operators:
        if code != _FULLY_CONNECTED or len(inputs) < 2 or inputs[1] in seen:
            continue
        seen.add(inputs[1])
        weights = _tensor(tensors, buffers, inputs[1])
        if weights is None or weights.ndim != 2:
            continue  # a product of two computed tensors, no layer
        number = inputs[2] if len(inputs) > 2 and inputs[2] >= 0 else _added_to(outputs, operators)
        bias = None if number is None else _tensor(tensors, buffers, number)
        bias = np.zeros(len(weights), np.float32) if bias is None else bias.reshape(-1)
        if len(bias) != len(weights):
            raise PermanentError(f"a layer has {len(weights)} outputs and {len(bias)} biases")
        yield Layer(weights, bias)


def _operator(operator: _Table, codes: list[_Table]) -> tuple[int, list[int], list[int]]:
    """(builtin operator, inputs, outputs); inputs are tensor numbers, -1 for one that is left out."""
    index = operator.number(0, "<I")
    if index >= len(codes):
        raise PermanentError("an operator of an unknown kind")
    # Files from before 2020 have the first field only; later ones have both where the code fits into a byte.
    code = max(codes[index].number(0, "<b"), codes[index].number(3, "<i"))
    inputs, outputs = ([int(number) for number in operator.array(field, "<i4")] for field in (1, 2))
    return code, inputs, outputs


def _added_to(outputs: list[int], operators: list[tuple[int, list[int], list[int]]]) -> int | None:
    """The tensor that an `ADD` operator adds to these outputs: a bias that the converter did not join to its layer."""
    for code, inputs, _ in operators:
        if code == _ADD and len(inputs) == 2 and set(inputs) & set(outputs):
            return next(number for number in inputs if number not in outputs)
    return None


def _tensor(tensors: list[_Table], buffers: list[_Table], number: int) -> Float32s | None:
    """The values of a constant tensor, float32; None for one that is computed."""
    if not 0 <= number < len(tensors):
        raise PermanentError(f"an operator uses tensor {number} of {len(tensors)}")
    tensor = tensors[number]
    index = tensor.number(2, "<I")
    if index >= len(buffers):
        raise PermanentError(f"tensor {number} lies in buffer {index} of {len(buffers)}")
    raw = buffers[index].array(0, "u1")
    if not len(raw):
        return None
    kind = tensor.number(1, "<b")
    if kind not in _TYPES:
        raise PermanentError(f"weights of TensorFlow Lite's type {kind}: expected float32, float16 or int8")
    shape = tuple(int(side) for side in tensor.array(0, "<i4"))
    if len(shape) > 4 or any(not 0 < side <= _MAX_SIDE for side in shape):
        raise PermanentError(f"tensor {number} has the shape {shape}")
    if len(raw) != math.prod(shape) * np.dtype(_TYPES[kind]).itemsize:
        raise PermanentError(f"tensor {number} of shape {shape} has {len(raw)} bytes")
    values = raw.view(_TYPES[kind]).reshape(shape).astype(np.float32)
    return _dequantized(values, tensor.table(4)) if kind == _INT8 else values


def _dequantized(values: Float32s, quantization: _Table | None) -> Float32s:
    """scale * (value - zero point), for the whole tensor or along one of its axes."""
    scale = np.zeros(0) if quantization is None else quantization.array(2, "<f4").astype(np.float32)
    if quantization is None or not len(scale):
        raise PermanentError("weights of 8 bits without a scale")
    zero = quantization.array(3, "<i8").astype(np.float32)
    axis = quantization.number(6)
    if len(scale) > 1:
        if not 0 <= axis < values.ndim or len(scale) != values.shape[axis] or len(zero) not in (0, len(scale)):
            raise PermanentError(f"{len(scale)} scales for weights of shape {values.shape}")
        along = [1] * values.ndim
        along[axis] = -1
        scale, zero = scale.reshape(along), zero.reshape(along) if len(zero) else zero
    return np.asarray((values - (zero if zero.size else np.float32(0))) * scale, np.float32)
