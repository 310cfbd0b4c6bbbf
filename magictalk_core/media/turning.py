"""Decoded frames turned by right angles, for a picture that lies on its side without saying so in its file."""

from __future__ import annotations

from typing import Any

from magictalk_core.media.container import orientation
from magictalk_core.media.frame_filter import FrameFilter, Shape, shape_of

__all__ = ["RIGHT_ANGLES", "FrameTurner"]

RIGHT_ANGLES = (0, 90, 180, 270)
"""Degrees clockwise by which a picture may be turned to stand upright."""

_FILTERS: dict[int, list[tuple[str, dict[str, str]]]] = {
    90: [("transpose", {"dir": "clock"})],
    180: [("hflip", {}), ("vflip", {})],
    270: [("transpose", {"dir": "cclock"})],
}


class FrameTurner:
    """Turns `av.VideoFrame`s of any size and format clockwise by `degrees`; with 0 they are passed on untouched."""

    def __init__(self, degrees: int) -> None:
        self._degrees = degrees
        self._key: tuple[Shape, int] | None = None
        self._filter: FrameFilter | None = None

    def __call__(self, frame: Any) -> Any:
        if self._degrees == 0:
            return frame
        # A mirrored picture is mirrored after it is turned here, which reverses the turn.
        degrees = 360 - self._degrees if _is_mirrored(frame) else self._degrees
        key = (shape_of(frame), degrees)
        if self._filter is None or key != self._key:
            self._key, self._filter = key, FrameFilter(frame, _FILTERS[degrees])
        return self._filter.one(frame)


def _is_mirrored(frame: Any) -> bool:
    transpose, flip_x, flip_y = orientation(frame)
    return transpose ^ flip_x ^ flip_y
