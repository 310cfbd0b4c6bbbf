"""The level of speech of a sound that goes on, and its samples at the level of the features.

`level.py` knows the whole sound; here the level is that of the last `HISTORY_S` seconds. Before anybody has spoken
samples stay as they are, and in the first second of speech the level counts for as much as there is of it.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from magictalk_core.speech.level import LEVEL_FRAME, MAX_GAIN_DB, SPEECH_DBFS, active_frames, level_of
from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = ["HISTORY_S", "LevelStream"]

HISTORY_S = 30.0
_EVERY = 10
"""Frames of 20 ms after which the level is asked for again."""
_ASSUMED_FRAMES = 15
"""What is assumed of a voice at first, that it is at the level wanted, weighs as much as 0.3 s of it."""

Samples = NDArray[np.float32]


class LevelStream:
    """Samples in, as many out; how they were cut into blocks changes nothing."""

    def __init__(self) -> None:
        size = round(HISTORY_S * SAMPLE_RATE / LEVEL_FRAME)
        self._power: deque[float] = deque(maxlen=size)
        self._emphasised: deque[float] = deque(maxlen=size)
        self._frame = np.zeros(0, np.float32)
        self._before: float | None = None
        self._gain, self._wanted, self._noted = 1.0, 1.0, 0

    def push(self, samples: Samples) -> Samples:
        """(n,) in [-1, 1] of (n,), 16 kHz mono."""
        parts = []
        while len(samples):
            part, samples = np.split(samples, [LEVEL_FRAME - len(self._frame)])
            # From frame to frame the gain moves along a line: a step would be heard as a click.
            share = (len(self._frame) + np.arange(1, len(part) + 1)) / LEVEL_FRAME
            parts.append(np.clip(part * (self._gain + (self._wanted - self._gain) * share), -1.0, 1.0))
            self._frame = np.concatenate([self._frame, part])
            if len(self._frame) == LEVEL_FRAME:
                self._note(self._frame.astype(np.float64))
                self._frame = self._frame[:0]
        return np.concatenate(parts).astype(np.float32) if parts else samples

    def _note(self, frame: NDArray[np.float64]) -> None:
        before = frame[0] if self._before is None else self._before
        self._power.append(float(frame.var()))
        self._emphasised.append(float(np.diff(frame, prepend=before).var()))
        self._before = float(frame[-1])
        self._gain = self._wanted
        self._noted += 1
        if self._noted % _EVERY == 0:
            self._wanted = self._gain_now()

    def _gain_now(self) -> float:
        power = np.array(self._power)
        level = level_of(power, np.array(self._emphasised))
        gain_db = 0.0
        if level is not None:
            spoken = len(active_frames(power))
            gain_db = min(SPEECH_DBFS - level, MAX_GAIN_DB) * spoken / (spoken + _ASSUMED_FRAMES)
        return float(10 ** (gain_db / 20))
