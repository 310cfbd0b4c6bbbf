"""WAV files and the level of speech."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import atomic_path

__all__ = ["fit_length", "loudest_dbfs", "write_wav"]


def write_wav(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    """Write mono samples (n,) in [-1, 1] as 16-bit PCM, atomically; values beyond are limited."""
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise PermanentError(f"{path.name}: expected finite mono samples of shape (n,), found shape {samples.shape}")
    pcm = np.clip(np.rint(samples * 32767.0), -32768, 32767).astype("<i2")
    with atomic_path(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframes(pcm.tobytes())


def fit_length(samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """The first `length` samples, followed by silence where there are fewer."""
    if len(samples) >= length:
        return samples[:length]
    return np.concatenate([samples, np.zeros(length - len(samples), np.float32)])


def loudest_dbfs(samples: NDArray[np.float32], sample_rate: int, window_s: float = 0.1) -> float:
    """Level of the loudest `window_s`, dB relative to a full-scale square wave; -inf for digital silence."""
    size = max(1, round(window_s * sample_rate))
    padded = fit_length(samples, max(size, -(-len(samples) // size) * size))
    power = float(np.square(padded, dtype=np.float64).reshape(-1, size).mean(axis=1).max())
    return 10 * math.log10(power) if power > 0 else -math.inf
