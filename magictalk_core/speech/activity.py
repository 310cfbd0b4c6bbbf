"""When somebody speaks: for every frame how far a mouth may leave its rest, from the level of the sound alone.

A frame is loud where its level stands out of the quietest of the last seconds, and is not far below the loudest. The
activity begins `LOOK_AHEAD` frames before the first loud frame, since a mouth opens before it is heard, bridges the
gaps of stops, and has ended `SHUT_FRAMES` after the last one. Nothing else is looked at of what comes later, so a
stream gives the same values as the whole sound: `VoiceActivity.push`, piece by piece of any length.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

__all__ = ["LOOK_AHEAD", "SHUT_FRAMES", "VoiceActivity", "activity_needs", "voice_activity"]

Samples = NDArray[np.float32]

LOOK_AHEAD = 3
"""Frames by which the activity begins before the voice."""

_HANG = 2
_OPENING, _SHUTTING = 1 / 2, 1 / 4
SHUT_FRAMES = _HANG + 4
"""Frames after the last loud one from which on there is no activity: 0.24 s."""

_HOP = SAMPLE_RATE // FRAME_RATE
_LEAST_DBFS = -70.0
_BELOW_PEAK_DB, _ABOVE_FLOOR_DB = 30.0, 6.0
"""A frame is loud within the first of the loudest and above the quietest by the second: steady noise of 40 ms frames
varies by 0.3 dB."""
_DECAY_DB = 3.0 / FRAME_RATE
_FLOOR_FRAMES, _UNKNOWN_FRAMES = round(2.5 * FRAME_RATE), round(0.4 * FRAME_RATE)
_NOTHING = 1e-12


def activity_needs(frame: int) -> int:
    """Samples of a sound after which `VoiceActivity.push` gives the activity of a frame."""
    return (frame + LOOK_AHEAD) * _HOP + _HOP // 2


class VoiceActivity:
    """The activity of one sound, 16 kHz mono, as it comes in."""

    def __init__(self) -> None:
        # Frame t is the 40 ms about its time: half of the first lies before the sound.
        self._waiting = np.zeros(_HOP // 2, np.float32)
        self._levels: deque[float] = deque(maxlen=_FLOOR_FRAMES)
        self._peak = _LEAST_DBFS
        self._loud: deque[bool] = deque([False] * (_HANG + LOOK_AHEAD), maxlen=_HANG + 1 + LOOK_AHEAD)
        self._heard = 0
        self._open = 0.0

    def push(self, samples: Samples, is_last: bool = False) -> NDArray[np.float32]:
        """(n,) 0 to 1 for the frames that `samples` (m,) in [-1, 1] decide: `LOOK_AHEAD` and a half behind the sound.

        `is_last`: silence follows, and the frames that wait for what comes are given too.
        """
        tail = np.zeros(_HOP // 2 + LOOK_AHEAD * _HOP if is_last else 0, np.float32)
        self._waiting = np.concatenate([self._waiting, np.asarray(samples, np.float32), tail])
        whole = len(self._waiting) // _HOP
        blocks, self._waiting = self._waiting[: whole * _HOP].reshape(whole, _HOP), self._waiting[whole * _HOP :]
        power = blocks.astype(np.float64).var(axis=1)
        found = [self._step(10 * np.log10(value + _NOTHING)) for value in power]
        return np.array([one for one in found if one is not None], np.float32)

    def _step(self, level: float) -> float | None:
        """The activity of the frame `LOOK_AHEAD` before the one of this level; None where there is none yet."""
        self._loud.append(self._is_loud(level))
        self._heard += 1
        if self._heard <= LOOK_AHEAD:
            return None
        self._open = min(self._open + _OPENING, 1.0) if any(self._loud) else max(self._open - _SHUTTING, 0.0)
        return self._open

    def _is_loud(self, level: float) -> bool:
        self._peak = max(level, self._peak - _DECAY_DB)
        self._levels.append(level)
        floor = min(self._levels) if len(self._levels) > _UNKNOWN_FRAMES else -np.inf
        return level > max(_LEAST_DBFS, self._peak - _BELOW_PEAK_DB, floor + _ABOVE_FLOOR_DB)


def voice_activity(samples: Samples, n_frames: int) -> NDArray[np.float32]:
    """(n_frames,) 0 to 1 of 16 kHz mono samples in [-1, 1], at the times of 25 fps frames; silence follows."""
    fitted = np.zeros(n_frames * _HOP, np.float32)
    given = np.asarray(samples, np.float32)[: len(fitted)]
    fitted[: len(given)] = given
    return VoiceActivity().push(fitted, is_last=True)[:n_frames]
