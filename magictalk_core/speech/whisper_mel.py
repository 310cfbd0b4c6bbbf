"""Whisper's front end: 80 log-mel bands, 100 times a second, of 16 kHz mono samples.

As in openai/whisper whisper/audio.py: periodic Hann windows of 25 ms every 10 ms, the signal mirrored at its ends,
power, 80 triangular filters equally spaced on Slaney's mel scale and of equal area (librosa's default), log10, floor 8
below the maximum, (x + 4) / 4. One thing differs: the maximum there is that of the whole piece, which makes a frame
depend on what is said seconds later, so here it is `CEILING`, of speech at `level.SPEECH_DBFS`.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = ["BANDS", "CEILING", "HOP", "WINDOW", "mel_filters", "scaled_log_mel", "whisper_mel"]

WINDOW = 400
HOP = 160
BANDS = 80
CEILING = 1.0
"""log10 of the band power that counts as the loudest: the median over voices at -23 dBFS (docs/speech.md)."""

_RANGE = 8.0
_LEAST_POWER = 1e-10
_LINEAR_HZ, _LINEAR_MEL = 1000.0, 15.0
"""Slaney's scale: linear up to 1 kHz, which is 15 mel, and 27 mel for every factor 6.4 above."""
_LOG_STEP = math.log(6.4) / 27.0

Values = NDArray[np.float32]


def _mel(hz: float) -> float:
    if hz < _LINEAR_HZ:
        return hz * _LINEAR_MEL / _LINEAR_HZ
    return _LINEAR_MEL + math.log(hz / _LINEAR_HZ) / _LOG_STEP


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _LINEAR_HZ * np.exp(_LOG_STEP * (mel - _LINEAR_MEL))
    return np.asarray(np.where(mel < _LINEAR_MEL, mel * _LINEAR_HZ / _LINEAR_MEL, above))


@cache
def mel_filters() -> Values:
    """(BANDS, WINDOW // 2 + 1) triangles from 0 Hz to half the sample rate, each of area 1."""
    edges = _hz(np.linspace(0.0, _mel(SAMPLE_RATE / 2), BANDS + 2))
    bins = np.arange(WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
    rising = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.clip(np.minimum(rising, falling), 0.0, None)
    return np.asarray(triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None], np.float32)


def whisper_mel(samples: Values) -> Values:
    """(len(samples) // HOP, BANDS) log10 of the band power, at least -10; frame i is centred on sample HOP * i.

    At least `WINDOW // 2 + 1` samples are needed.
    """
    padded = np.pad(samples.astype(np.float32), WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: len(samples) // HOP]
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    return np.asarray(np.log10(np.maximum(power @ mel_filters().T, _LEAST_POWER)), np.float32)


def scaled_log_mel(log_power: Values, ceiling: float = CEILING) -> Values:
    """What the network takes: `log_power` no lower than 8 below `ceiling`, (x + 4) / 4. Louder values stay."""
    return np.asarray((np.maximum(log_power, ceiling - _RANGE) + 4.0) / 4.0, np.float32)
