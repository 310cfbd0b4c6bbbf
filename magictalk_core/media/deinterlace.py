"""Interlaced pictures become progressive ones, at the same rate and times.

A camera of 50 fields a second writes two moments into one picture, line by line: what moves gets combs, and a mouth is
enough. Files say so, or do not: the combs are measured too, so that a television recording that was encoded again
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

_LEVELS = 12
"""Of 255: what stands out from both its neighbour lines by more, and differs as much from the picture beside it."""
_COMBED = 0.03
"""Share of combed pixels of the worst part of an interlaced picture. The 22 clips of ../shared/samples, all
progressive, stay below 0.02; the mouth alone of a head that keeps still reaches 0.1."""
_PART_PX = 32
_COLUMNS = 360
"""Of a wide picture every second column is measured, or every third and so on, so that about so many are."""
_ALL_OF_S, _THEN_EVERY = 2.0, 5
"""After seconds without a comb every fifth picture is measured, until one has combs."""


def is_interlaced(frame: Any, beside: Any | None = None) -> bool:
    """Whether the picture is flagged, or measured against the one before or after it, as two moments in one."""
    return bool(frame.interlaced_frame) or (beside is not None and comb_share(frame, beside) > _COMBED)


def comb_share(frame: Any, beside: Any) -> float:
    """Share of the pixels of the worst part that zigzag from line to line and have moved; 0 without a luma plane."""
    luma, other = _luma(frame), _luma(beside)
    if luma is None or other is None or luma.shape != other.shape or luma.shape[0] < _PART_PX:
        return 0.0
    above, line, below = luma[:-2], luma[1:-1], luma[2:]
    high = _beyond(cv2.subtract(line, cv2.max(above, below)))
    low = _beyond(cv2.subtract(cv2.min(above, below), line))
    zigzag = cv2.bitwise_or(cv2.bitwise_and(high[:-1], low[1:]), cv2.bitwise_and(low[:-1], high[1:]))
    if not zigzag.any():
        return 0.0
    # Lines that stand still, as the stripes of a shirt, are no combs.
    moved = cv2.bitwise_and(zigzag, _beyond(cv2.absdiff(luma[1:-2], other[1:-2])))
    return float(cv2.blur(moved, (_PART_PX, _PART_PX)).max()) / 255


def _beyond(levels: Any) -> Any:
    return cv2.threshold(levels, _LEVELS, 255, cv2.THRESH_BINARY)[1]


def _luma(frame: Any) -> NDArray[np.uint8] | None:
    """(h, w) luma at 8 bits."""
    name, bits = frame.format.name, frame.format.components[0].bits
    if not name.startswith(("yuv4", "yuvj4", "yuva4", "gray", "nv12", "nv21")) or not 8 <= bits <= 16:
        return None
    plane = frame.planes[0]
    words: NDArray[Any] = np.frombuffer(plane, np.uint8 if bits == 8 else np.dtype("<u2"))
    part = words.reshape(plane.height, -1)[:, : plane.width : max(1, plane.width // _COLUMNS)]
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
    """Timed frames in and, one later, out. The first waits for the second, to be measured against it; where the filter
    is at work, every one waits for the next."""

    def __init__(self) -> None:
        self._held: Timed[Any] | None = None
        self._before: Any | None = None
        self._filter: FrameFilter | None = None
        self._waiting: deque[tuple[Timed[Any], bool]] = deque()
        self._surplus = 0
        self._clean_s, self._unmeasured = 0.0, 0
        self.mended = 0
        """Pictures that were made progressive."""

    def feed(self, timed: Timed[Any]) -> list[Timed[Any]]:
        """The frames that are ready after this one, in order."""
        ready: list[Timed[Any]] = []
        if self._before is not None and shape_of(self._before) != shape_of(timed.item):
            ready = self.flush()
        if self._before is None and self._held is None:
            self._held = timed
            return ready
        if self._held is not None:
            first, self._held = self._held, None
            ready += self._take(first, timed.item, _parity(first.item, timed.item))
        return ready + self._take(timed, self._before)

    def flush(self) -> list[Timed[Any]]:
        """The frames that still wait for a next one."""
        ready: list[Timed[Any]] = []
        if self._held is not None:
            first, self._held = self._held, None
            ready += self._take(first, None)
        if self._filter is not None:
            ready += self._finished(self._filter.push(None))
        self._filter, self._before = None, None
        return ready

    def _take(self, timed: Timed[Any], beside: Any | None, parity: str | None = None) -> list[Timed[Any]]:
        frame = timed.item
        needed = self._measured(timed, beside)
        if self._filter is None and needed:
            self._start(frame, parity or _parity(self._before, frame))
        self._before = frame
        if self._filter is None:
            return [timed]
        self._waiting.append((timed, needed))
        return self._finished(self._filter.push(frame))

    def _measured(self, timed: Timed[Any], beside: Any | None) -> bool:
        self._unmeasured += 1
        if self._clean_s >= _ALL_OF_S and self._unmeasured < _THEN_EVERY and not timed.item.interlaced_frame:
            return False
        self._unmeasured = 0
        needed = is_interlaced(timed.item, beside)
        self._clean_s = 0.0 if needed else self._clean_s + timed.duration_s
        return needed

    def _start(self, frame: Any, parity: str) -> None:
        options = {"mode": "send_frame", "parity": parity, "deint": "all"}
        self._filter = FrameFilter(frame, [("bwdif", options), ("format", {"pix_fmts": frame.format.name})])
        if self._before is not None:
            # The frame before is shown already; the filter needs it to look back.
            self._surplus = 1 - len(self._filter.push(self._before))

    def _finished(self, made: list[Any]) -> list[Timed[Any]]:
        ready = []
        for frame in made:
            if self._surplus:
                self._surplus -= 1
                continue
            timed, needed = self._waiting.popleft()
            self.mended += needed
            ready.append(Timed.of(timed.time_s, timed.duration_s, frame) if needed else timed)
        return ready
