"""The published DeepSpeech files as networks: 0.9.3 from its `.pbmm`, `.pb` or `.tflite`, 0.1.0 from its `.pb`.

A file is converted once, into safetensors in the weights cache, named by the sha256 of the source, which is also in its
metadata. The names of the constants are those of mozilla/DeepSpeech v0.9.3 training/deepspeech_training/train.py and
v0.1.0 DeepSpeech.py; so is the forget bias: 0 in 0.9.3, 1 in 0.1.0, where it is added to the stored bias here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from magictalk_core.errors import PermanentError
from magictalk_core.speech.deepspeech import (
    DEEPSPEECH_010,
    DEEPSPEECH_093,
    DEEPSPEECH_SMALL,
    DeepSpeechConfig,
    network_from_weights,
)
from magictalk_core.speech.extractor import SpeechModel
from magictalk_core.speech.frozen_graph import read_constants
from magictalk_core.speech.tflite_weights import Layer, read_layers
from magictalk_core.speech.weight_files import FILES, weights_source
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.locks import one_at_a_time
from magictalk_core.weights.resolver import cache_folder, content_sha256

__all__ = [
    "MODELS",
    "graph_010",
    "graph_093",
    "load_model",
    "read_safetensors",
    "tflite_093",
]

CONVERSION = "1"
"""Version of this conversion; part of the name of a converted file."""

Weights = dict[str, torch.Tensor]

_KERNEL_093 = "cudnn_lstm/rnn/multi_rnn_cell/cell_0/cudnn_compatible_lstm_cell"
_NUMBERS = (1, 2, 3, 5, 6)


@dataclass(frozen=True)
class _Published:
    """What the models of `weight_files.FILES` are made of: their sizes, their reader."""

    config: DeepSpeechConfig
    read: Callable[[Path], Weights]
    is_010: bool = False


def graph_093(path: Path) -> Weights:
    """The stored tensors (`deepspeech.weight_shapes`) of a 0.9.x frozen graph, `.pbmm` or `.pb`."""
    dense = {number: (f"layer_{number}/weights", f"layer_{number}/bias") for number in _NUMBERS}
    kernel, bias = f"{_KERNEL_093}/kernel", f"{_KERNEL_093}/bias"
    constants = read_constants(path, [kernel, bias, *(name for pair in dense.values() for name in pair)])
    weights = {"lstm.kernel": constants[kernel], "lstm.bias": constants[bias]}
    for number, (matrix, vector) in dense.items():
        weights |= {f"layer_{number}.weight": constants[matrix].T, f"layer_{number}.bias": constants[vector]}
    return _tensors(weights)


def graph_010(path: Path) -> Weights:
    """The stored tensors of the 0.1.0 frozen graph `output_graph.pb`."""
    cells = {"": "bidirectional_rnn/fw/basic_lstm_cell", "_reverse": "bidirectional_rnn/bw/basic_lstm_cell"}
    names = [f"{cell}/{part}" for cell in cells.values() for part in ("kernel", "bias")]
    constants = read_constants(path, [*names, *(f"{letter}{number}" for letter in "hb" for number in _NUMBERS)])
    weights: dict[str, NDArray[np.float32]] = {}
    for number in _NUMBERS:
        weights |= {
            f"layer_{number}.weight": constants[f"h{number}"].T,
            f"layer_{number}.bias": constants[f"b{number}"],
        }
    for direction, cell in cells.items():
        bias = constants[f"{cell}/bias"]
        forget = np.repeat(np.array([0, 0, 1, 0], np.float32), len(bias) // 4)
        if len(forget) != len(bias):
            raise PermanentError(f"{path}: `{cell}/bias` has {len(bias)} values, expected four gates")
        weights |= {f"lstm.kernel{direction}": constants[f"{cell}/kernel"], f"lstm.bias{direction}": bias + forget}
    return _tensors(weights)


def tflite_093(path: Path) -> Weights:
    """The stored tensors of a 0.9.x `.tflite`: layers 1, 2 and 3, the LSTM's kernel, layers 5 and 6."""
    layers = read_layers(path)
    if len(layers) != 6:
        raise PermanentError(f"{path}: expected the 6 layers of DeepSpeech 0.9.x, found {len(layers)}")
    lstm: Layer = layers.pop(3)
    weights = {"lstm.kernel": lstm.weights.T, "lstm.bias": lstm.bias}
    for number, layer in zip(_NUMBERS, layers, strict=True):
        weights |= {f"layer_{number}.weight": layer.weights, f"layer_{number}.bias": layer.bias}
    return _tensors(weights)


def _tensors(weights: dict[str, NDArray[np.float32]]) -> Weights:
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in weights.items()}


def _shipped(path: Path) -> Weights:
    return read_safetensors(path)


MODELS: dict[str, _Published] = {
    "deepspeech-0.9.3": _Published(DEEPSPEECH_093, graph_093),
    "deepspeech-0.9.3-tflite": _Published(DEEPSPEECH_093, tflite_093),
    "deepspeech-0.1.0": _Published(DEEPSPEECH_010, graph_010, is_010=True),
    "deepspeech-small-1": _Published(DEEPSPEECH_SMALL, _shipped),
}
"""By feature id. Weights of 8 bits give other values than the floats they were made from: an id of their own."""


def read_safetensors(path: Path) -> Weights:
    """All tensors of a file. Raises `PermanentError` for a damaged one."""
    try:
        with safe_open(path, "pt") as file:
            handle: Any = file
            return {name: handle.get_tensor(name) for name in handle.keys()}
    except (SafetensorError, OSError) as error:
        raise PermanentError(f"{path}: no safetensors file: {error}: remove it and try again") from error


def _converted(feature_id: str, source: Path) -> Weights:
    """The tensors of a published file, converted at the first call and read from the cache afterwards."""
    model, digest = MODELS[feature_id], content_sha256(source)
    target = cache_folder() / "converted" / f"{feature_id}-{CONVERSION}-{digest[:16]}.safetensors"
    with one_at_a_time(target.parent / ".lock"):
        if not target.is_file():
            weights = model.read(source)
            # Sizes and values are checked before anything is kept.
            network_from_weights(model.config, weights, where=str(source))
            metadata = {"source": source.name, "source_sha256": digest, "feature_id": feature_id, "format": "pt"}
            with atomic_path(target) as temporary:
                save_file(weights, temporary, metadata=metadata)
    return read_safetensors(target)


def load_model(feature_id: str, device: str | None = None) -> SpeechModel:
    """The network and front end of a feature, on `device`; None: a GPU where one is. Kept for later calls."""
    source = weights_source(feature_id)
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return _load(feature_id, source, content_sha256(source), where)


@cache
def _load(feature_id: str, source: Path, digest: str, device: str) -> SpeechModel:
    model = MODELS[feature_id]
    weights = model.read(source) if FILES[feature_id] is None else _converted(feature_id, source)
    network = network_from_weights(model.config, weights, where=str(source))
    return SpeechModel(network.to(device), model.is_010, digest)
