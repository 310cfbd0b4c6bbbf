"""Weights of `@vladmandic/face-api`: a flat file of numbers, mostly in 8 bits, and a manifest that says what they are.

The format is that of TensorFlow.js (tfjs-core/src/io/io_utils.ts): tensors lie one after another in the order of the
manifest; a quantised one is `value * scale + min`. Filters are (height, width, in, out) there, and (out, in, height,
width) in torch.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.weights.resolver import resolve

__all__ = ["face_api_tensors", "read_tensors"]


def face_api_tensors(network: str) -> dict[str, Tensor]:
    """The tensors of one network of the package, for example `face_expression`, in torch's order of axes."""
    return read_tensors(resolve(f"{network}_model-weights_manifest.json"), resolve(f"{network}_model.bin"))


def read_tensors(manifest: Path, weights: Path) -> dict[str, Tensor]:
    """By name, float32. Raises `PermanentError` where the two files do not fit each other."""
    content = weights.read_bytes()
    found: dict[str, Tensor] = {}
    place = 0
    try:
        entries = [entry for group in json.loads(manifest.read_text(encoding="utf-8")) for entry in group["weights"]]
        for entry in entries:
            values, place = _values(entry, content, place)
            found[str(entry["name"])] = _in_torch_order(str(entry["name"]), values)
    except (KeyError, TypeError, ValueError) as error:
        raise PermanentError(f"{manifest} and {weights} do not fit: {type(error).__name__}: {error}") from error
    if place != len(content):
        raise PermanentError(f"{weights}: expected {place} bytes as {manifest} has it, found {len(content)}")
    return found


def _values(entry: dict[str, Any], content: bytes, place: int) -> tuple[np.ndarray[Any, np.dtype[np.float32]], int]:
    """The tensor that begins at `place`, and the place behind it."""
    shape = tuple(int(n) for n in entry["shape"])
    quantised = entry.get("quantization")
    kind = np.dtype(quantised["dtype"] if quantised else entry["dtype"]).newbyteorder("<")
    raw = np.frombuffer(content, kind, math.prod(shape), place)
    values = raw.astype(np.float32)
    if quantised:
        # In float32 as TensorFlow.js stores the result; the product itself in double precision, as JavaScript has it.
        values = (raw.astype(np.float64) * quantised["scale"] + quantised["min"]).astype(np.float32)
    return values.reshape(shape), place + raw.nbytes


def _in_torch_order(name: str, values: np.ndarray[Any, np.dtype[np.float32]]) -> Tensor:
    if values.ndim == 4:
        # A depthwise filter is (height, width, channels, 1); torch has one filter of one channel for each.
        order = (2, 3, 0, 1) if name.endswith("depthwise_filter") else (3, 2, 0, 1)
        values = values.transpose(order)
    elif values.ndim == 2:
        values = values.T
    return torch.from_numpy(np.ascontiguousarray(values))
