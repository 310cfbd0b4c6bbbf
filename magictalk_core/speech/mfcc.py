"""The two front ends of DeepSpeech in numpy: MFCC at 50 steps per second, and the context windows the network reads.

`mfcc_093` is TensorFlow's `AudioSpectrogram` followed by `Mfcc`, as the 0.9.x graphs hold them (mozilla/DeepSpeech
v0.9.3, training/deepspeech_training/util/feeding.py and native_client/deepspeech.cc): 512 samples under a periodic Hann
window every 320, 512-point FFT, 40 mel bands from 20 to 8000 Hz that sum magnitudes, log floored at 1e-12, DCT-II.
`mfcc_010` is python_speech_features with its defaults, as v0.1.0 util/audio.py calls it: int16 samples, pre-emphasis
0.97, 400 samples without a window function, 26 mel bands of power, liftered cepstra, log energy in the first; of its
steps of 10 ms every second one is kept, so the others are not computed here.

Both work in float64 as the originals do. `MfccStream` gives the same rows from samples that come in pieces.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = [
    "CEPSTRA",
    "CONTEXT",
    "CONTEXT_SIZE",
    "STEP",
    "STEPS_PER_SECOND",
    "FrontEnd",
    "MfccStream",
    "context_windows",
    "front_end_010",
    "front_end_093",
    "mfcc_010",
    "mfcc_093",
    "mfcc_syncnet",
    "to_int16",
    "whitening_010",
]

STEP = 320
STEPS_PER_SECOND = 50
CEPSTRA = 26
CONTEXT = 9
"""Steps of context on each side of a step; zeros beyond the ends of the clip."""
CONTEXT_SIZE = (2 * CONTEXT + 1) * CEPSTRA
"""494 values: 19 steps in order of time, 26 cepstra each."""

_FFT = 512
_STEP_SYNCNET, _CEPSTRA_SYNCNET = 160, 13
_BLOCK = 2048
"""Steps analysed at once: 41 s of sound, 8 MB of windows."""

Float64s = NDArray[np.float64]
Float32s = NDArray[np.float32]


@dataclass(frozen=True)
class FrontEnd:
    """A front end: `cepstra` turns (steps, `window`) samples into (steps, 26); `count` says how many steps n samples
    have, the last ones completed with zeros."""

    window: int
    cepstra: Callable[[Float64s], Float64s]
    count: Callable[[int], int]
    preemphasis: float = 0.0


# --- TensorFlow's operators, 0.9.x ---------------------------------------------------------------------------------


def _mel_093(hz: NDArray[np.floating]) -> Float64s:
    return np.asarray(1127.0 * np.log1p(hz / 700.0), np.float64)


@cache
def _bands_093() -> Float64s:
    """(257, 40): what share of each FFT bin's magnitude goes to each band, as TensorFlow's mfcc_mel_filterbank does."""
    bands, low, high = 40, 20.0, 8000.0
    lowest, highest = _mel_093(np.array([low, high]))
    edges = np.linspace(lowest, highest, bands + 2)
    hz_per_bin = SAMPLE_RATE / _FFT
    # The operator leaves out bin 0 and everything below the first whole bin above the lower limit.
    bins = np.arange(int(1.5 + low / hz_per_bin), int(high / hz_per_bin) + 1)
    mel = _mel_093(bins * hz_per_bin)
    # A bin lies between edges `left` and `left + 1`: it falls off in band `left - 1` and rises in band `left`.
    left = np.clip(np.searchsorted(edges, mel, side="left") - 1, 0, bands)
    falling = (edges[left + 1] - mel) / (edges[left + 1] - edges[left])
    share = np.zeros((_FFT // 2 + 1, bands + 2))
    share[bins, left] = falling
    share[bins, left + 1] = 1.0 - falling
    return share[:, 1:-1]


def _cosines(bands: int) -> Float64s:
    """(bands, 26): DCT-II scaled by sqrt(2 / bands), all rows alike."""
    angle = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(CEPSTRA))
    return np.asarray(np.sqrt(2.0 / bands) * np.cos(angle))


def _cepstra_093(windows: Float64s) -> Float64s:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi / _FFT * np.arange(_FFT))
    spectrum = np.fft.rfft(windows * hann, axis=1)
    # The spectrogram operator hands float32 powers to the next one.
    magnitude = np.sqrt((spectrum.real**2 + spectrum.imag**2).astype(np.float32).astype(np.float64))
    return np.asarray(np.log(np.maximum(magnitude @ _bands_093(), 1e-12)) @ _cosines(40))


def _count_093(samples: int) -> int:
    """Whole windows and one that the end of the sound cuts, as the native client flushes its buffer; at least one."""
    return 1 + max(0, (samples - _FFT) // STEP + 1)


front_end_093 = FrontEnd(_FFT, _cepstra_093, _count_093)


# --- python_speech_features, 0.1.0 ---------------------------------------------------------------------------------

_WINDOW_010 = 400


@cache
def _bands_010() -> Float64s:
    """(257, 26) triangles between FFT bins: the band edges are rounded down to bins, as that package does."""
    bands = CEPSTRA
    highest = 2595.0 * np.log10(1.0 + SAMPLE_RATE / 2 / 700.0)
    hz = 700.0 * (10.0 ** (np.linspace(0.0, highest, bands + 2) / 2595.0) - 1.0)
    edges = np.floor((_FFT + 1) * hz / SAMPLE_RATE)
    bins = np.arange(_FFT // 2 + 1)[:, None]
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - left) / (middle - left)
    falling = (right - bins) / (right - middle)
    inside = (bins >= left) & (bins < right)
    return np.asarray(np.where(bins < middle, rising, falling) * inside, np.float64)


def _cepstra_010(windows: Float64s) -> Float64s:
    spectrum = np.fft.rfft(windows, _FFT, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2) / _FFT
    energy, bands = power.sum(axis=1), power @ _bands_010()
    tiny = np.finfo(np.float64).eps
    cepstra = np.log(np.where(bands == 0, tiny, bands)) @ _cosines(CEPSTRA)
    cepstra *= 1.0 + 11.0 * np.sin(np.pi * np.arange(CEPSTRA) / 22.0)
    cepstra[:, 0] = np.log(np.where(energy == 0, tiny, energy))
    return cepstra


def _count_010(samples: int) -> int:
    """Every second of the windows of 400 samples every 160, the last one completed with zeros; at least one."""
    windows = 1 + max(0, -(-(samples - _WINDOW_010) // (STEP // 2)))
    return -(-windows // 2)


front_end_010 = FrontEnd(_WINDOW_010, _cepstra_010, _count_010, preemphasis=0.97)


# --- whole clips and streams ---------------------------------------------------------------------------------------


@dataclass
class MfccStream:
    """Samples in pieces of any length to the rows that the whole clip would give; holds one window of samples."""

    front_end: FrontEnd
    _rest: Float64s = field(default_factory=lambda: np.zeros(0))
    _last: float = 0.0
    _received: int = 0
    _given: int = 0

    def push(self, samples: NDArray[np.float32] | NDArray[np.int16]) -> Float32s:
        """(k, 26) rows that these mono samples complete; float in [-1, 1] for 0.9.x, int16 values for 0.1.0."""
        new = samples.astype(np.float64)
        if self.front_end.preemphasis and len(new):
            # The very first sample has nothing before it and stays as it is.
            before = np.concatenate([[self._last], new[:-1]])
            self._last = float(new[-1])
            new = new - self.front_end.preemphasis * before
        self._received += len(samples)
        self._rest = np.concatenate([self._rest, new])
        return self._take(max(0, (len(self._rest) - self.front_end.window) // STEP + 1))

    def finish(self) -> Float32s:
        """The last rows: windows that the end of the clip cuts are completed with zeros. Call once."""
        missing = self.front_end.count(self._received) - self._given
        needed = max(0, (missing - 1) * STEP + self.front_end.window - len(self._rest))
        self._rest = np.concatenate([self._rest, np.zeros(needed)])
        return self._take(missing)

    def _take(self, steps: int) -> Float32s:
        if steps == 0:
            return np.zeros((0, CEPSTRA), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(self._rest, self.front_end.window)[::STEP][:steps]
        blocks = [self.front_end.cepstra(windows[i : i + _BLOCK]) for i in range(0, steps, _BLOCK)]
        self._rest = self._rest[steps * STEP :]
        self._given += steps
        return np.concatenate(blocks).astype(np.float32)


def _whole(front_end: FrontEnd, samples: NDArray[np.float32] | NDArray[np.int16]) -> Float32s:
    stream = MfccStream(front_end)
    size = _BLOCK * STEP
    rows = [stream.push(samples[i : i + size]) for i in range(0, len(samples), size)]
    return np.concatenate([*rows, stream.finish()])


def mfcc_093(samples: Float32s) -> Float32s:
    """(steps, 26) of mono samples (n,) in [-1, 1] at 16 kHz.

    A last window that the end cuts is completed with silence, as the native client does: the steps are n / 320 where
    that is whole. TensorFlow's operators alone would leave that window out.
    """
    return _whole(front_end_093, samples)


def mfcc_010(samples: NDArray[np.int16]) -> Float32s:
    """(steps, 26) of mono int16 samples (n,) at 16 kHz; not whitened yet, see `whitening_010`."""
    return _whole(front_end_010, samples)


def mfcc_syncnet(samples: NDArray[np.int16]) -> Float32s:
    """(steps, 13) of mono int16 samples (n,) at 16 kHz, 100 steps per second: python_speech_features with its defaults,
    as SyncNet hears (joonson/syncnet_python, SyncNetInstance.py). The last step is completed with zeros."""
    steps = 1 + max(0, -(-(len(samples) - _WINDOW_010) // _STEP_SYNCNET))
    exact = np.zeros((steps - 1) * _STEP_SYNCNET + _WINDOW_010)
    exact[: len(samples)] = samples
    exact[1 : len(samples)] -= front_end_010.preemphasis * samples[:-1].astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(exact, _WINDOW_010)[::_STEP_SYNCNET]
    blocks = [_cepstra_010(windows[i : i + _BLOCK])[:, :_CEPSTRA_SYNCNET] for i in range(0, steps, _BLOCK)]
    return np.concatenate(blocks).astype(np.float32)


def context_windows(mfcc: Float32s, start: int = 0, stop: int | None = None) -> Float32s:
    """(stop - start, 494) of a clip's (steps, 26): each step with the 9 before and the 9 after it, in order of time.

    Beyond both ends of the clip lie zeros. The result is 19 times as large as its part of `mfcc`: take stretches of a
    long clip.
    """
    stop = len(mfcc) if stop is None else min(stop, len(mfcc))
    first, last = max(0, start - CONTEXT), min(len(mfcc), stop + CONTEXT)
    padded = np.pad(mfcc[first:last], ((first - start + CONTEXT, stop + CONTEXT - last), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * CONTEXT + 1, axis=0)
    return np.array(windows.transpose(0, 2, 1), order="C").reshape(stop - start, CONTEXT_SIZE)


def whitening_010(mfcc: Float32s) -> tuple[float, float]:
    """Mean and standard deviation over all context windows of a clip, the zeros at its ends included.

    0.1.0 fed (windows - mean) / std to its network. Every step counts as often as windows hold it, so the windows
    themselves, 19 times the size, are not needed.
    """
    steps = np.arange(len(mfcc))
    held = np.minimum(steps, CONTEXT) + np.minimum(steps[::-1], CONTEXT) + 1
    values = len(mfcc) * CONTEXT_SIZE
    exact = mfcc.astype(np.float64)
    mean = float(held @ exact.sum(axis=1)) / values
    square = float(held @ np.square(exact - mean).sum(axis=1))
    zeros = values - int(held.sum()) * CEPSTRA
    return mean, math.sqrt((square + zeros * mean**2) / values)


def to_int16(samples: Float32s) -> NDArray[np.int16]:
    """Samples in [-1, 1] as the int16 values that 0.1.0 read; louder ones are limited."""
    return np.asarray(np.clip(np.rint(samples * np.float32(32768.0)), -32768, 32767), np.int16)
