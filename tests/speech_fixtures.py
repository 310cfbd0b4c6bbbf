"""Golden values by TensorFlow (scripts/dev/make_speech_goldens.py) and networks with random weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from magictalk_core.speech.deepspeech import DeepSpeech, DeepSpeechConfig
from magictalk_core.speech.extractor import SpeechModel

GOLDENS = Path(__file__).parent / "data" / "speech_goldens.npz"
GRAPH_SIZES = DeepSpeechConfig(8, 12)
"""Of the golden graphs."""


@cache
def golden(name: str) -> NDArray[np.generic]:
    with np.load(GOLDENS) as file:
        return np.asarray(file[name])


def golden_names(prefix: str) -> list[str]:
    with np.load(GOLDENS) as file:
        return [name.removeprefix(prefix) for name in file if name.startswith(prefix)]


def golden_file(name: str, folder: Path) -> Path:
    """A graph that TensorFlow wrote, as a file."""
    path = folder / name
    path.write_bytes(golden(f"file/{name}").tobytes())
    return path


def random_model(bidirectional: bool = False, seed: int = 0, hidden: int = 48, recurrent: int = 32) -> SpeechModel:
    torch.manual_seed(seed)
    network = DeepSpeech(DeepSpeechConfig(hidden, recurrent, bidirectional)).eval().requires_grad_(False)
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(3)  # states that matter, logits that differ
    return SpeechModel(network, bidirectional, "random")


def noise(seconds: float, seed: int = 0, level: float = 0.1) -> NDArray[np.float32]:
    samples = np.random.default_rng(seed).normal(0, level, round(seconds * 16_000))
    return np.clip(samples, -1, 1).astype(np.float32)
