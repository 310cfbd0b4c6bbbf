"""From finished frames, 25 a second, to what is sent at 25 or 60, each at its time on the clock of the sound."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

__all__ = ["RATES", "LiveClock"]

RATES = (25, 60)

Frames = NDArray[np.float32]


class _Face(Protocol):
    def samples_needed(self, frame: int) -> int: ...


class LiveClock:
    """Packet j is the motion at j / fps seconds of the sound, on the line between two frames, and is due a fixed delay
    after that moment of the sound was heard: never early, so the pace is that of the sound, and nothing drifts."""

    def __init__(self, face: _Face, fps: int) -> None:
        if fps not in RATES:
            raise UserError(f"--fps {fps}: expected {' or '.join(map(str, RATES))}")
        self.fps, self.delay = fps, _delay(face, fps)
        self._frames = np.zeros((0, 0), np.float32)
        self._first, self._next = 0, 0
        self._is_last = False

    @property
    def delay_s(self) -> float:
        """Seconds from a moment of the sound to its packet, the time to compute it apart."""
        return self.delay / SAMPLE_RATE

    def push(self, frames: Frames) -> None:
        """The frames (n, 58) that come next."""
        self._frames = np.concatenate([self._frames, frames]) if len(self._frames) else frames

    def due_at(self, number: int) -> int:
        """Samples of the sound with which packet `number` is due."""
        return math.ceil(number * SAMPLE_RATE / self.fps) + self.delay

    def due(self, heard: int) -> Iterator[tuple[int, Frames]]:
        """Number and motion (58,) of the packets that are due with `heard` samples of the sound."""
        while self.due_at(self._next) <= heard:
            motion = self._at(self._next * FRAME_RATE / self.fps)
            if motion is None:
                return
            yield self._next, motion
            self._next += 1

    def _at(self, place: float) -> Frames | None:
        """The motion at a place between frames; None where it is not known."""
        before = math.floor(place)
        after = min(math.ceil(place), self._first + len(self._frames) - 1) if self._is_last else math.ceil(place)
        if after - self._first >= len(self._frames) or before >= self._first + len(self._frames):
            return None
        unused = before - self._first
        self._frames, self._first = self._frames[unused:], before
        share = np.float32(place - before)
        first, second = self._frames[0], self._frames[after - before]
        return np.asarray(first + share * (second - first), np.float32)

    def finish(self, frames: Frames) -> None:
        """The last frames; behind the last one it holds."""
        self.push(frames)
        self._is_last = True


def _delay(face: _Face, fps: int) -> int:
    """Samples from a packet's own time to when both frames beside it are there, the longest of two seconds: frames
    may come two at once."""
    waits = []
    for number in range(2 * fps):
        needed = face.samples_needed(math.ceil(number * FRAME_RATE / fps))
        waits.append(needed - math.ceil(number * SAMPLE_RATE / fps))
    return max(waits)
