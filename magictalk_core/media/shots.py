"""Whether a clip is one shot: cuts and fades to another picture around the speaker, as numbers to store.

A talking head changes its picture little from frame to frame and never all at once. A cut is a step far above what the
picture does just before and after it; a fade is a stretch whose frames are mixtures of its two ends, which no movement
makes, and whose ends have little in common.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.container import orientation, scaler, turn
from magictalk_core.media.crop import CropBox

__all__ = ["ShotWatch", "cut_score", "fade_score"]

_KEPT_SIDE, _SIDE = 64, 32
_BLOCK, _OVERLAP = 2000, 40
"""Frames that are compared at a time, and how many of the next: more than the longest fade, and little memory."""
_FLAT_LEVELS = 4.0
"""Standard deviation of luma, of 255, below which a picture shows nothing: black before the first scene is no shot."""
_NEAR, _FLASH = 8, 4
_STEP_LEVELS = 1.0
_FADE_FRAMES = (6, 8, 12, 16, 24, 32)
_MOVEMENT = 0.5
"""Where an edge moves, the middle frame differs from the mean of the ends by half of what the ends differ."""

Tiny = NDArray[np.float32]


class ShotWatch:
    """Keeps every frame as 64 x 64 luma, in the shape it is shown in; a frame shown twice counts once."""

    def __init__(self) -> None:
        self._last: Any = None
        self._tiny: list[NDArray[np.uint8]] = []

    def add(self, frame: Any) -> None:
        if frame is self._last:
            return
        self._last = frame
        small: Any = scaler("shots").reformat(
            frame, width=_KEPT_SIDE, height=_KEPT_SIDE, format="gray", interpolation="AREA", threads=1
        )
        self._tiny.append(turn(small.to_ndarray()[..., None], orientation(frame))[..., 0])

    def scores(self, crop: CropBox, width: int, height: int, turned_deg: int) -> dict[str, float]:
        """`cut_score` and `fade_score` of what is within the crop, given in the upright picture of `width` x `height`:
        slides beside a speaker may change."""
        x0, x1 = (_kept(at, width) for at in (crop.x, crop.x + crop.size))
        y0, y1 = (_kept(at, height) for at in (crop.y, crop.y + crop.size))
        part = (slice(min(y0, _KEPT_SIDE - 2), max(y1, y0 + 2)), slice(min(x0, _KEPT_SIDE - 2), max(x1, x0 + 2)))
        cut = fade = 0.0
        for first in range(0, len(self._tiny), _BLOCK):
            block = self._tiny[first : first + _BLOCK + _OVERLAP]
            frames = _shown([np.rot90(tiny, -turned_deg // 90)[part] for tiny in block])
            cut, fade = max(cut, cut_score(frames)), max(fade, fade_score(frames))
        return {"cut_score": round(cut, 3), "fade_score": round(fade, 4)}


def _kept(at: int, side: int) -> int:
    """A place in the picture on the grid that is kept."""
    return min(_KEPT_SIDE, max(0, round(at * _KEPT_SIDE / side)))


def _shown(tiny: list[NDArray[np.uint8]]) -> Tiny:
    """(n, pixels) of those that show something, all at one size."""
    size = (_SIDE, _SIDE)
    seen = [cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in tiny if one.std() >= _FLAT_LEVELS]
    return np.array(seen, np.float32).reshape(len(seen), _SIDE * _SIDE)


def cut_score(frames: Tiny) -> float:
    """The largest lasting step between neighbouring frames (n, pixels), over the largest other step around it."""
    if len(frames) < 3:
        return 0.0
    steps = np.abs(np.diff(frames, axis=0)).mean(axis=1)
    best = 0.0
    for at in np.flatnonzero(steps > _STEP_LEVELS):
        around = np.concatenate([steps[max(0, at - _NEAR) : max(0, at - 1)], steps[at + 2 : at + 1 + _NEAR]])
        score = float(steps[at] / (around.max(initial=0.0) + _STEP_LEVELS))
        if score > best and _lasts(frames, int(at), float(steps[at])):
            best = score
    return best


def _lasts(frames: Tiny, at: int, step: float) -> bool:
    """A flash of light, or a frame that did not decode, is gone after a few frames."""
    later = frames[min(at + _FLASH, len(frames) - 1)]
    return float(np.abs(later - frames[at]).mean()) > step / 2


def fade_score(frames: Tiny) -> float:
    """How different the ends of the most fade-like stretch are, 0 to 2: one minus their correlation, less what its
    frames are not mixtures of the ends."""
    centred = frames - frames.mean(axis=1, keepdims=True)
    unit = centred / (np.linalg.norm(centred, axis=1, keepdims=True) + 1e-6)
    return max((_fade(frames, unit, length) for length in _FADE_FRAMES if len(frames) > length), default=0.0)


def _fade(frames: Tiny, unit: Tiny, length: int) -> float:
    count = len(frames) - length
    first, last = frames[:count], frames[length:]
    apart = np.linalg.norm(last - first, axis=1) + 1e-6
    off = np.zeros(count, np.float32)
    for share in (0.25, 0.5, 0.75):
        start = round(share * length)
        mixture = first * np.float32(1 - share) + last * np.float32(share)
        off = np.maximum(off, np.linalg.norm(frames[start : start + count] - mixture, axis=1) / apart)
    unlike = 1 - (unit[:count] * unit[length:]).sum(axis=1)
    return float((unlike * np.clip(1 - off / _MOVEMENT, 0, 1)).max())
