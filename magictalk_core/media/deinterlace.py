"""Interlaced pictures become progressive ones, at the same rate and times.

A camera of 50 fields a second writes two moments into one picture, line by line: a head that moves gets combs. Files
say so, or do not: the combs are measured in every picture too, so that a television recording that was encoded again
without its flag, or film with two combed pictures in five, is mended as well. Only pictures that need it are changed.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.frame_filter import FrameFilter, shape_of
from magictalk_core.media.timed import Timed

__all__ = ["Deinterlacer", "comb_share", "is_interlaced"]

_COMB_LEVELS = 12
"""Of 255: a line that stands out from both its neighbours by more, while the next one stands out the other way."""
_COMB_SHARE = 0.004
"""Share of combed pixels of an interlaced picture. The 22 clips of ../shared/samples, all progressive, stay below
0.0008; a talking head in 50 fields a second reaches 0.01 whenever it moves."""
_BANDS, _BAND_PX = 6, 64
"""Of a wide picture, so many upright bands of this width are measured: lines are compared within a column."""


def is_interlaced(frame: Any) -> bool:
    """Whether the picture is flagged, or measured, as two moments in one."""
    return bool(frame.interlaced_frame) or comb_share(frame) > _COMB_SHARE


def comb_share(frame: Any) -> float:
    """Share of the pixels that zigzag from line to line, 0 for formats without a luma plane."""
    luma = _luma(frame)
    if luma is None or luma.shape[0] < 4:
        return 0.0
    above, line, below = luma[:-2], luma[1:-1], luma[2:]
    high = cv2.subtract(line, cv2.max(above, below)) > _COMB_LEVELS
    low = cv2.subtract(cv2.min(above, below), line) > _COMB_LEVELS
    zigzag = (high[:-1] & low[1:]) | (low[:-1] & high[1:])
    return int(np.count_nonzero(zigzag)) / int(zigzag.size)


def _luma(frame: Any) -> NDArray[np.uint8] | None:
    """(h, w) luma at 8 bits, of a wide picture its bands side by side."""
    name, bits = frame.format.name, frame.format.components[0].bits
    if not name.startswith(("yuv4", "yuvj4", "yuva4", "gray", "nv12", "nv21")) or not 8 <= bits <= 16:
        return None
    plane = frame.planes[0]
    words: NDArray[Any] = np.frombuffer(plane, np.uint8 if bits == 8 else np.dtype("<u2"))
    part = words.reshape(plane.height, -1)[:, : plane.width]
    if plane.width > _BANDS * _BAND_PX:
        lefts = np.linspace(0, plane.width - _BAND_PX, _BANDS).astype(int)
        part = np.concatenate([part[:, left : left + _BAND_PX] for left in lefts], axis=1)
    return np.ascontiguousarray(part if bits == 8 else part >> (bits - 8), dtype=np.uint8)


def _parity(before: Any | None, frame: Any) -> str:
    """Which field comes first: the one flagged, or else the one whose opposite lies nearer to the picture before."""
    if frame.interlaced_frame:
        return "auto"
    now, then = _luma(frame), None if before is None else _luma(before)
    if now is None or then is None or now.shape != then.shape:
        return "tff"
    between = cv2.addWeighted(now[:-2], 0.5, now[2:], 0.5, 0.0)
    steps = cv2.absdiff(between, np.ascontiguousarray(then[1:-1]))
    # Row 0 of `steps` lies at line 1: between the top field's lines of now, against the bottom field of before.
    return "tff" if steps[::2].mean() <= steps[1::2].mean() else "bff"


class Deinterlacer:
    """Timed frames in and, one later where it is at work, out. Frames before the first interlaced one pass as they
    are."""

    def __init__(self) -> None:
        self._filter: FrameFilter | None = None
        self._before: Any | None = None
        self._first: Timed[Any] | None = None
        self._waiting: deque[tuple[Timed[Any], bool]] = deque()
        self._surplus = 0

    def feed(self, timed: Timed[Any]) -> list[Timed[Any]]:
        """The frames that are ready after this one, in order."""
        frame, needed = timed.item, is_interlaced(timed.item)
        ready: list[Timed[Any]] = []
        if self._filter is not None and self._filter.shape != shape_of(frame):
            ready = self.flush()
        if self._first is not None:
            first, self._first = self._first, None
            self._start(first.item, _parity(first.item, frame))
            ready += self._push(first, True)
        elif self._filter is None:
            if not needed:
                self._before = frame
                return [timed]
            if self._before is None and not frame.interlaced_frame:
                self._first = timed  # the order of its fields shows beside the next picture
                return ready
            self._start(frame, _parity(self._before, frame))
        if self._filter is not None and self._filter.shape != shape_of(frame):
            return ready + self.flush() + self.feed(timed)
        return ready + self._push(timed, needed)

    def flush(self) -> list[Timed[Any]]:
        """The frames that still wait for a next one."""
        ready: list[Timed[Any]] = []
        if self._first is not None:
            first, self._first = self._first, None
            self._start(first.item, "tff")
            ready += self._push(first, True)
        if self._filter is not None:
            ready += self._finished(self._filter.push(None))
        self._filter, self._before = None, None
        return ready

    def _start(self, frame: Any, parity: str) -> None:
        options = {"mode": "send_frame", "parity": parity, "deint": "all"}
        self._filter = FrameFilter(frame, [("bwdif", options), ("format", {"pix_fmts": frame.format.name})])
        if self._before is not None and shape_of(self._before) == self._filter.shape:
            # The frame before is shown already; the filter needs it to look back.
            self._surplus = 1 - len(self._filter.push(self._before))

    def _push(self, timed: Timed[Any], needed: bool) -> list[Timed[Any]]:
        assert self._filter is not None
        self._waiting.append((timed, needed))
        return self._finished(self._filter.push(timed.item))

    def _finished(self, made: list[Any]) -> list[Timed[Any]]:
        ready = []
        for frame in made:
            if self._surplus:
                self._surplus -= 1
                continue
            timed, needed = self._waiting.popleft()
            ready.append(Timed.of(timed.time_s, timed.duration_s, frame) if needed else timed)
        return ready
