"""From the training network to the shipped file: the state of the `DeepSpeech` class in half precision."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from magictalk_core.recipes.deepspeech_small.ctc import TrainingNetwork, batch_of
from magictalk_core.recipes.deepspeech_small.evaluate import greedy_text
from magictalk_core.speech import deepspeech
from magictalk_core.speech.deepspeech import weights_of
from magictalk_core.speech.mfcc import CONTEXT

__all__ = ["deepspeech_state", "hear", "log_probabilities", "settings_sha256", "write_weights"]


def deepspeech_state(network: TrainingNetwork) -> dict[str, torch.Tensor]:
    """Weights as `weight_shapes` lists them, for the same raw logits from plain MFCC: the whitening is folded in."""
    state = weights_of(network.network)
    mean, std = (t.repeat(2 * CONTEXT + 1) for t in (network.mean, network.std))
    first = state["layer_1.weight"] / std
    return state | {"layer_1.weight": first, "layer_1.bias": state["layer_1.bias"] - first @ mean}


def settings_sha256(settings: Any) -> str:
    """Of a settings dataclass, as sorted JSON."""
    return hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()


def write_weights(path: Path, network: TrainingNetwork, metadata: dict[str, str]) -> int:
    """Write the half-precision file and return its size in bytes; `metadata` says where it came from."""
    state = {key: value.half() for key, value in deepspeech_state(network).items()}
    worst = max(float(value.abs().max()) for value in state.values())
    if not np.isfinite(worst):
        raise ValueError("a weight is beyond half precision")
    part = path.with_suffix(".part")
    save_file(state, part, metadata={"format": "pt", "license": "Apache-2.0", **metadata})
    part.replace(path)
    return path.stat().st_size


@torch.no_grad()
def log_probabilities(network: TrainingNetwork, mfcc: NDArray[np.float32]) -> NDArray[np.float32]:
    """(frames, 29) log-probabilities of one clip's MFCC."""
    mfccs, _ = batch_of([mfcc])
    return np.asarray(deepspeech.log_probabilities(network.eval()(mfccs)[0, : len(mfcc)]).numpy(), np.float32)


def hear(network: TrainingNetwork, mfcc: NDArray[np.float32]) -> str:
    """The greedy transcript of one clip's MFCC."""
    return greedy_text(log_probabilities(network, mfcc))
