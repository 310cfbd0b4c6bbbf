"""Accessors of a glTF file as arrays: packed or interleaved, sparse, floats or normalized integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.rig.gltf_document import Accessor, Document

__all__ = ["read_array", "read_indices"]

_FLOAT = 5126
_TYPES: dict[int, np.dtype[Any]] = {
    5120: np.dtype("<i1"),
    5121: np.dtype("<u1"),
    5122: np.dtype("<i2"),
    5123: np.dtype("<u2"),
    5125: np.dtype("<u4"),
    _FLOAT: np.dtype("<f4"),
}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_MAX_VALUES = 1 << 26
"""Of an accessor that the file does not hold in full: 256 MB."""


def read_array(document: Document, buffers: list[memoryview], index: int) -> NDArray[np.float32]:
    """(count, width) floats of an accessor; normalized integers become 0 to 1, or -1 to 1.

    Raises `ValueError` for one that is damaged or compressed, `IndexError` for one that is not there.
    """
    accessor = document.accessors[index]
    width, dtype = _WIDTHS.get(accessor.type), _TYPES.get(accessor.component_type)
    if width is None or dtype is None:
        raise ValueError(f"accessor {index} is of type {accessor.type} of {accessor.component_type}")
    if accessor.component_type != _FLOAT and not accessor.normalized:
        raise ValueError(f"accessor {index} holds whole numbers that are not normalized: export it as floats")
    values = _dense(document, buffers, index, accessor, dtype, width)
    if accessor.sparse is not None:
        values = _with_sparse(document, buffers, index, accessor, values)
    if accessor.component_type == _FLOAT:
        return values.astype(np.float32)
    largest = float(np.iinfo(dtype).max)
    return np.asarray(np.maximum(values.astype(np.float32) / np.float32(largest), -1.0), np.float32)


def read_indices(document: Document, buffers: list[memoryview], index: int) -> NDArray[np.int64]:
    """(count,) whole numbers of an accessor: which vertices a triangle has. Raises as `read_array`."""
    accessor = document.accessors[index]
    dtype = _TYPES.get(accessor.component_type)
    if accessor.type != "SCALAR" or dtype is None or dtype.kind != "u":
        raise ValueError(f"accessor {index} is of type {accessor.type} of {accessor.component_type}: no vertex numbers")
    return _dense(document, buffers, index, accessor, dtype, 1)[:, 0].astype(np.int64)


def _dense(
    document: Document, buffers: list[memoryview], index: int, accessor: Accessor, dtype: np.dtype[Any], width: int
) -> NDArray[Any]:
    if accessor.buffer_view is None:
        if accessor.count * width > _MAX_VALUES:
            raise ValueError(f"accessor {index} has {accessor.count} values that the file does not hold")
        return np.zeros((accessor.count, width), dtype)
    return _slice(document, buffers, index, accessor.buffer_view, accessor.byte_offset, accessor.count, dtype, width)


def _slice(
    document: Document,
    buffers: list[memoryview],
    index: int,
    view_index: int,
    offset: int,
    count: int,
    dtype: np.dtype[Any],
    width: int,
) -> NDArray[Any]:
    """(count, width) values of a buffer view, `byteStride` apart."""
    view = document.buffer_views[view_index]
    if view.extensions:
        raise ValueError(f"accessor {index} is compressed ({', '.join(view.extensions)}): export it without")
    if view.buffer >= len(buffers):
        raise ValueError(f"accessor {index} lies in another file, buffer {view.buffer}, which is not named")
    data, packed = buffers[view.buffer], dtype.itemsize * width
    stride = view.byte_stride or packed
    start = view.byte_offset + offset
    if stride < packed or (count and start + stride * (count - 1) + packed > len(data)):
        raise ValueError(f"accessor {index} ends behind the file")
    if not count:
        return np.zeros((0, width), dtype)
    return np.ndarray((count, width), dtype, data, start, (stride, dtype.itemsize)).copy()


def _with_sparse(
    document: Document, buffers: list[memoryview], index: int, accessor: Accessor, values: NDArray[Any]
) -> NDArray[Any]:
    sparse = accessor.sparse
    assert sparse is not None
    kind = _TYPES.get(sparse.indices.component_type)
    if kind is None or kind.kind != "u":
        raise ValueError(f"accessor {index} has sparse indices of type {sparse.indices.component_type}")
    at = _slice(
        document, buffers, index, sparse.indices.buffer_view, sparse.indices.byte_offset, sparse.count, kind, 1
    )[:, 0].astype(np.int64)
    if len(at) and at.max() >= len(values):
        raise ValueError(f"accessor {index} has a sparse value behind its end")
    place = sparse.values
    values[at] = _slice(
        document, buffers, index, place.buffer_view, place.byte_offset, sparse.count, values.dtype, values.shape[1]
    )
    return values
