"""Square pixels, and one size for all pictures of a video."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from magictalk_core.media.container import MAX_SIDE_PX, check_side, orientation
from magictalk_core.media.frame_filter import FrameFilter, Shape, shape_of

__all__ = ["Squarer", "pixel_aspect", "square_size", "upright_size"]

_SAME_ASPECT = 0.005
"""Pixels as nearly square as this are square: encoders round odd sizes to aspects such as 4096:4095."""
_MAX_ASPECT = 8
"""Beyond, the header is damaged: no camera or television system comes near."""
_OWN_ASPECT = frozenset({"mpegts", "mpeg", "mpegvideo", "h264", "hevc"})
"""Formats that leave the aspect to the coded pictures, where it may change with every scene."""


def pixel_aspect(container: Any, stream: Any) -> Fraction:
    """Width of a pixel by its height: the container's word, or else that of the picture decoded last; 1 if unknown."""
    own = container.format.name in _OWN_ASPECT
    aspect = (stream.codec_context if own else stream).sample_aspect_ratio
    if not aspect or abs(aspect - 1) < _SAME_ASPECT or not Fraction(1, _MAX_ASPECT) <= aspect <= _MAX_ASPECT:
        return Fraction(1)
    return Fraction(aspect)


def square_size(width: int, height: int, aspect: Fraction) -> tuple[int, int]:
    """(width, height) of a coded picture in square pixels: its lines stay, as in ffmpeg and every player."""
    return max(1, round(width * aspect)), height


def upright_size(frame: Any, aspect: Fraction = Fraction(1)) -> tuple[int, int]:
    """(width, height) of the frame after it is turned upright, in square pixels."""
    width, height = square_size(frame.width, frame.height, aspect)
    return (height, width) if orientation(frame)[0] else (width, height)


class Squarer:
    """Scales every frame to the size that the first one has in square pixels.

    One of another shape is fitted into it with black beside it; the pixel format is the first one's too. A frame that
    is right already passes as it is.
    """

    def __init__(self) -> None:
        self._target: Shape | None = None
        self._key: Any = None
        self._filter: FrameFilter | None = None

    def apply(self, frame: Any, aspect: Fraction) -> Any:
        if self._target is None:
            width, height = square_size(frame.width, frame.height, aspect)
            check_side(width, height, MAX_SIDE_PX)
            self._target = (width, height, frame.format.name)
        if aspect == 1 and shape_of(frame) == self._target:
            return frame
        key = (shape_of(frame), aspect)
        if self._filter is None or key != self._key:
            self._key, self._filter = key, _fitting(frame, aspect, self._target)
        return self._filter.one(frame)


def _fitting(frame: Any, aspect: Fraction, target: Shape) -> FrameFilter:
    width, height, form = target
    own_width, own_height = square_size(frame.width, frame.height, aspect)
    factor = min(width / own_width, height / own_height)
    inner = min(width, max(1, round(own_width * factor))), min(height, max(1, round(own_height * factor)))
    chain = [
        ("scale", {"w": str(inner[0]), "h": str(inner[1]), "flags": "bicubic" if factor >= 1 else "area"}),
        ("format", {"pix_fmts": form}),
    ]
    if inner != (width, height):
        corner = {"x": str((width - inner[0]) // 2), "y": str((height - inner[1]) // 2)}
        chain.append(("pad", {"w": str(width), "h": str(height), **corner}))
    return FrameFilter(frame, [*chain, ("setsar", {"sar": "1"})])
