"""Spoil clean synthetic speech the way rooms, microphones and files do. Every step keeps the number of samples.

All steps take mono float samples at 16 kHz and a numpy generator; the same generator state gives the same result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import fftconvolve

from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = ["add_noise", "augmented", "coloured_noise", "equalized", "padded", "reverberated", "scaled"]

Samples = NDArray[np.float32]


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def coloured_noise(length: int, exponent: float, rng: np.random.Generator) -> Samples:
    """Noise of power 1/f^exponent and rms 1: 0 is white, 1 pink, 2 brown."""
    size = fft.next_fast_len(length, real=True)
    spectrum = fft.rfft(rng.standard_normal(size, np.float32))
    frequency = np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE), 20.0)
    noise = fft.irfft(spectrum * frequency ** (-exponent / 2), size)[:length].astype(np.float32)
    return np.asarray(noise / _rms(noise), np.float32)


def _babble(length: int, voices: Sequence[Samples], rng: np.random.Generator) -> Samples:
    """3 to 6 other utterances at once, each repeated and rolled to fill `length`."""
    total = np.zeros(length, np.float32)
    for _ in range(int(rng.integers(3, 7))):
        voice = voices[int(rng.integers(len(voices)))]
        total += np.roll(np.resize(voice / _rms(voice), length), int(rng.integers(length)))
    return np.asarray(total / _rms(total), np.float32)


def add_noise(samples: Samples, snr_db: float, rng: np.random.Generator, voices: Sequence[Samples] = ()) -> Samples:
    """Background noise `snr_db` below the speech: coloured, hum, or babble of `voices`."""
    kind = rng.random()
    if voices and kind < 0.25:
        noise = _babble(len(samples), voices, rng)
    elif kind < 0.35:
        time = np.arange(len(samples)) / SAMPLE_RATE
        tones = [np.sin(2 * np.pi * (50 + 10 * (kind < 0.3)) * n * time) / n for n in range(1, 8)]
        noise = np.sum(tones, axis=0).astype(np.float32) + 0.1 * coloured_noise(len(samples), 1.0, rng)
    else:
        noise = coloured_noise(len(samples), float(rng.uniform(0.0, 2.2)), rng)
    return np.asarray(samples + noise * (_rms(samples) / _rms(noise)) * 10 ** (-snr_db / 20), np.float32)


def reverberated(samples: Samples, rt60: float, direct_db: float, rng: np.random.Generator) -> Samples:
    """A room: white noise that decays by 60 dB in `rt60` seconds, the direct sound `direct_db` above all the rest."""
    length = max(int(rt60 * SAMPLE_RATE), 64)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    tail[: int(rng.integers(8, 80))] = 0.0
    # Walls swallow high frequencies first: a one-pole smoothing by convolution with a short decay.
    tail = np.convolve(tail, float(rng.uniform(0.3, 0.8)) ** np.arange(16))[:length]
    tail *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(tail**2) + 1e-12)
    tail[0] = 1.0
    return np.asarray(fftconvolve(samples, tail)[: len(samples)], np.float32)


def equalized(samples: Samples, rng: np.random.Generator) -> Samples:
    """Another microphone and another voice: a tilt of up to 4 dB per octave, smooth bumps, sometimes band limits."""
    size = fft.next_fast_len(len(samples) + 512, real=True)
    frequency = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    octaves = np.log2(np.maximum(frequency, 40.0) / 1000.0)
    knots = np.linspace(octaves[0], octaves[-1], 8)
    decibels = rng.uniform(-4.0, 4.0) * octaves + np.interp(octaves, knots, rng.normal(0.0, 3.0, 8))
    decibels = np.clip(decibels, -24.0, 18.0)
    if rng.random() < 0.25:
        decibels -= 24 * np.maximum(octaves - np.log2(rng.uniform(3000, 7000) / 1000.0), 0) * 3
    if rng.random() < 0.25:
        decibels -= 12 * np.maximum(np.log2(rng.uniform(80, 300) / 1000.0) - octaves, 0)
    shaped = fft.irfft(fft.rfft(samples, size) * 10 ** (decibels / 20), size)
    return np.asarray(shaped[: len(samples)], np.float32)


def scaled(samples: Samples, rng: np.random.Generator) -> Samples:
    """A level between -32 and -10 dBFS rms, rarely driven into clipping, rounded to 16 bit as files are."""
    level = rng.uniform(-32.0, -10.0) + (12.0 if rng.random() < 0.03 else 0.0)
    loud = samples / _rms(samples) * 10 ** (level / 20)
    return np.asarray(np.round(np.clip(loud, -1.0, 1.0) * 32767) / 32768, np.float32)


def padded(samples: Samples, rng: np.random.Generator) -> Samples:
    """The utterance with up to half a second of silence before and after (the one step that adds samples)."""
    before, after = (int(rng.uniform(0.0, 0.5) * SAMPLE_RATE) for _ in range(2))
    return np.pad(samples, (before, after))


def augmented(samples: Samples, rng: np.random.Generator, voices: Sequence[Samples] = ()) -> Samples:
    """One random recording of `samples`: equalizer, room, noise, level. One in ten keeps the clean sound."""
    if rng.random() < 0.1:
        return scaled(samples, rng)
    result = equalized(samples, rng)
    if rng.random() < 0.5:
        result = reverberated(result, float(rng.uniform(0.08, 0.7)), float(rng.uniform(-3.0, 12.0)), rng)
    if rng.random() < 0.85:
        result = add_noise(result, float(rng.uniform(5.0, 45.0)), rng, voices)
    return scaled(result, rng)
