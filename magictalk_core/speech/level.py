"""The level of speech in a sound, and the same speech at a fixed level: a voice recorded 40 dB down says the same.

The level is that of the frames in which somebody speaks (those within 20 dB of the loud ones), after the idea of ITU-T
P.56; pauses and clicks change it little. What is no speech is left alone: silence, and sound as steady as noise or hum.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LEVEL_FRAME",
    "MAX_GAIN_DB",
    "ORDINARY_DBFS",
    "SPEECH_DBFS",
    "active_frames",
    "at_speech_level",
    "frame_power",
    "level_of",
    "speech_level",
]

Samples = NDArray[np.float32]

SPEECH_DBFS = -23.0
"""What speech is brought to: in the middle of the levels that deepspeech-small was trained on, -32 to -10."""

ORDINARY_DBFS = (-36.0, -9.0)
"""Levels that published networks get as they are, so that their values stay those of the works that used them."""

MAX_GAIN_DB = 45.0
"""Below -68 dBFS there is more noise than voice: it is not made louder than this."""

LEVEL_FRAME = 320
"""Samples over which power is measured: 20 ms."""

_BLOCK = 10_000
_LOUD = 0.975
_ACTIVE_DB, _CLICK_DB = 20.0, 6.0
_STEADY_DB = 0.55
"""Standard deviation of the active frames after pre-emphasis: noise of any colour has 0.4 dB and hum nothing; speech
has 5 dB, and in white noise of a tenth of its power still 0.6 to 3."""
_NOTHING = 1e-10


def speech_level(samples: Samples) -> float | None:
    """dBFS of the speech in 16 kHz mono samples; None where there is silence or steady noise only."""
    return level_of(frame_power(samples), frame_power(samples, pre_emphasis=True))


def level_of(power: NDArray[np.float64], emphasised: NDArray[np.float64]) -> float | None:
    """`speech_level` of a sound by what `frame_power` says of its frames, without and with pre-emphasis."""
    if not _has_something(power):
        return None
    emphasised = active_frames(emphasised)
    if not len(emphasised) or np.std(10 * np.log10(emphasised)) < _STEADY_DB:
        return None
    active = active_frames(power)
    # A click is no louder voice.
    loudest = np.quantile(power, _LOUD) * 10 ** (_CLICK_DB / 10)
    return 10 * math.log10(np.minimum(active, loudest).mean())


def frame_power(samples: Samples, pre_emphasis: bool = False) -> NDArray[np.float64]:
    """(frames,) variance of stretches of 20 ms, which knows no offset; what is left over at the end does not count.

    `pre_emphasis`: of the steps from sample to sample. Block by block: an hour in float64 would be 0.5 GB, twice.
    """
    power = np.empty(len(samples) // LEVEL_FRAME)
    for first in range(0, len(power), _BLOCK):
        last = min(first + _BLOCK, len(power))
        start = first * LEVEL_FRAME
        block = samples[start : last * LEVEL_FRAME]
        if pre_emphasis:
            before = max(start - 1, 0)
            block = np.diff(block, prepend=samples[before : before + 1])
        power[first:last] = block.astype(np.float64).reshape(-1, LEVEL_FRAME).var(axis=1)
    return power


def _has_something(power: NDArray[np.float64]) -> bool:
    return bool(len(power) and np.quantile(power, _LOUD) > _NOTHING)


def active_frames(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """The power of those frames in which there is most to be heard: within 20 dB of the loud ones."""
    return power[power > np.quantile(power, _LOUD) * 10 ** (-_ACTIVE_DB / 10)]


def at_speech_level(samples: Samples, ordinary: tuple[float, float] | None = None) -> Samples:
    """`samples` with their speech at `SPEECH_DBFS`, in [-1, 1]; as they are where their level is `ordinary` already."""
    level = speech_level(samples)
    if level is None or (ordinary is not None and ordinary[0] <= level <= ordinary[1]):
        return samples
    gain = 10 ** (min(SPEECH_DBFS - level, MAX_GAIN_DB) / 20)
    return np.asarray(np.clip(samples * np.float32(gain), -1.0, 1.0), np.float32)
