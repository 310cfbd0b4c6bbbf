"""Fingerprints of clips for near duplicates: another encoding, size or loudness of a recording keeps them almost equal.

`<sound>:<picture>` in hexadecimal, 256 bits each. Sound: 8 bands of 33 stretches of time, each bit whether a band rises
against its neighbour band from one stretch to the next (Haitsma and Kalker, ISMIR 2002). Picture: luma of 4 x 4 cells
of the crop in 17 frames, each bit whether a cell rises from one frame to the next more than the median cell does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["BITS", "picture_bits", "signature", "signature_distance", "sound_bits"]

BITS = 256
_STRETCHES, _BANDS = 33, 8
_FRAMES, _CELLS = 17, 4
_LOW_HZ, _HIGH_HZ = 200.0, 3600.0
_MOVES_LEVELS = 0.1
_OTHER_PICTURE = 0.45
"""Share of differing picture bits above which the same sound belongs to another recording. Clips of a head that hardly
moves differ from their own copy in up to 0.43, since the smallest rises are noise; unrelated clips in about 0.5."""


def sound_bits(samples: NDArray[np.float32], sample_rate: int) -> str:
    """256 bits of mono samples; empty for silence or less than 0.1 s."""
    if len(samples) < sample_rate // 10 or not np.any(samples):
        return ""
    edges = np.linspace(0, len(samples), _STRETCHES + 1).astype(int)
    limits = np.geomspace(_LOW_HZ, _HIGH_HZ, _BANDS + 2)
    energy = np.empty((_STRETCHES, _BANDS + 1))
    for row, (first, last) in enumerate(pairwise(edges)):
        part = samples[first:last].astype(np.float64)
        power = np.square(np.abs(np.fft.rfft(part * np.hanning(len(part)))))
        hertz = np.fft.rfftfreq(len(part), 1 / sample_rate)
        inside = np.digitize(hertz, limits) - 1
        energy[row] = [power[inside == band].sum() for band in range(_BANDS + 1)]
    # Differences between bands forget loudness and, largely, the response of another microphone or codec.
    level = np.log(energy + 1e-6 * energy.max() + 1e-12)
    slope = np.diff(np.diff(level, axis=1), axis=0)
    return np.packbits(slope > 0).tobytes().hex()


def picture_bits(frames: Sequence[NDArray[np.uint8]]) -> str:
    """256 bits of the luma (s, s) of a clip's crops; empty where nothing moves: rounding would decide every bit."""
    if len(frames) < 2:
        return ""
    chosen = np.linspace(0, len(frames) - 1, _FRAMES).round().astype(int)
    cells = np.stack([_cells(frames[i]) for i in chosen])
    rise = np.diff(cells, axis=0)
    if np.abs(rise).mean() < _MOVES_LEVELS:
        return ""
    bits = rise > np.median(rise, axis=1, keepdims=True)
    return np.packbits(bits).tobytes().hex()


def _cells(gray: NDArray[np.uint8]) -> NDArray[np.float64]:
    # Floats: a mouth moves the mean of its cell by less than a level.
    small = cv2.resize(gray.astype(np.float32), (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64).reshape(-1)


def signature(samples: NDArray[np.float32] | None, sample_rate: int, frames: Sequence[NDArray[np.uint8]]) -> str | None:
    """The signature of a clip, or None where there is neither sound nor movement to take it from."""
    sound = "" if samples is None else sound_bits(samples, sample_rate)
    picture = picture_bits(frames)
    return f"{sound}:{picture}" if sound or picture else None


def _share(a: str, b: str) -> float:
    return (int(a, 16) ^ int(b, 16)).bit_count() / (4 * len(a))


def signature_distance(a: str, b: str) -> float:
    """0 for the same recording, about 0.5 for unrelated ones: the share of differing bits.

    Where both have sound, it decides, and the pictures only have a veto: 1 where they have nothing in common, so that
    one speech over two faces is not one recording. Without sound in one of them, the pictures decide.
    """
    (sound_a, picture_a), (sound_b, picture_b) = a.split(":"), b.split(":")
    pictures = _share(picture_a, picture_b) if picture_a and picture_b else None
    if sound_a and sound_b:
        sounds = _share(sound_a, sound_b)
        return 1.0 if pictures is not None and pictures > _OTHER_PICTURE else sounds
    return 1.0 if pictures is None else pictures
