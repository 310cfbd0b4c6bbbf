"""A 29-band log-mel feature at 25 frames per second, in place of DeepSpeech's 29 classes.

Own numpy implementation: 16 kHz mono, Hann window of 1280 samples (80 ms) centred on the frame's middle, hop 640 (one
video frame), 1280-point FFT, 29 triangular HTK-mel bands from 60 to 7600 Hz, natural log of the band power.
The level of the recording is removed (the 95th percentile over the clip becomes 0) and the result is clipped below at
`FLOOR`, so that a quiet and a loud copy of one sentence give the same feature.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = ["BANDS", "FLOOR", "HOP", "SPEECH_LEVEL", "WINDOW", "log_mel", "mel_filters"]

HOP = 640
WINDOW = 1280
BANDS = 29
LOW_HZ, HIGH_HZ = 60.0, 7600.0
FLOOR = -12.0
"""Natural log units below the clip's level: about -52 dB, under the noise floor of a studio recording."""

_SILENCE = 1e-10
"""Band power of digital silence."""

SPEECH_LEVEL = -5.0
"""Least 95th percentile of speech at `level.SPEECH_DBFS`: measured -1.7 to -4.3 on nine voices. What is quieter is no
speech, and is not lifted to the level of speech."""


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))


def mel_filters() -> NDArray[np.float64]:
    """Triangular filters (BANDS, WINDOW // 2 + 1), peak 1, equally spaced in HTK mel."""
    edges_mel = np.linspace(_mel(np.array(LOW_HZ)), _mel(np.array(HIGH_HZ)), BANDS + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins = np.arange(WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
    rising = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    return np.asarray(np.clip(np.minimum(rising, falling), 0.0, None))


def log_mel(
    samples: NDArray[np.float32], n_frames: int, least: float = math.log(_SILENCE) + 6.0
) -> NDArray[np.float32]:
    """(n_frames, 29) of mono samples in [-1, 1]; audio that is short is padded with silence, long audio is cut.

    `least`: natural log of the band power below which nothing is lifted to 0.
    """
    signal = np.zeros((n_frames + 1) * HOP + WINDOW, np.float64)
    # Frame i is centred on (i + 0.5) / 25 s, so its window starts half a window before that.
    offset = WINDOW // 2 - HOP // 2
    length = min(len(samples), len(signal) - offset)
    signal[offset : offset + length] = samples[:length]
    frames = np.lib.stride_tricks.sliding_window_view(signal, WINDOW)[::HOP][:n_frames]
    window = np.hanning(WINDOW + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2 / WINDOW
    energy = np.log(power @ mel_filters().T + _SILENCE)
    level = max(float(np.quantile(energy, 0.95)), least) if n_frames else 0.0
    return np.clip(energy - level, FLOOR, None).astype(np.float32)
