"""How loud a voice is in every frame of its clip, in decibels relative to the loudest of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

__all__ = ["QUIET_DB", "frame_loudness"]

QUIET_DB = -50.0
"""What is quieter is as quiet as silence."""

_HOP = SAMPLE_RATE // FRAME_RATE


def frame_loudness(samples: NDArray[np.float32], n_frames: int) -> NDArray[np.float64]:
    """(n_frames,) dB of 16 kHz mono samples: the power of the 40 ms about the time of each 25 fps frame, relative to
    the 95th percentile of the clip, from `QUIET_DB` to 0. Silence all over is `QUIET_DB` all over."""
    half = _HOP // 2
    padded = np.zeros(half + n_frames * _HOP)
    given = np.asarray(samples, np.float64)[: max(0, n_frames * _HOP - half)]
    padded[half : half + len(given)] = given
    power = np.square(padded[: n_frames * _HOP]).reshape(n_frames, _HOP).mean(axis=1)
    top = float(np.quantile(power, 0.95)) if n_frames else 0.0
    if top <= 0.0:
        return np.full(n_frames, QUIET_DB)
    floor = 10 ** (QUIET_DB / 10)
    return np.asarray(np.minimum(10 * np.log10(np.maximum(power / top, floor)), 0.0))
