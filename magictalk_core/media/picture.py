"""From decoded frames to the two pictures that standardizing needs: a small one to find faces, and the crop.

Both are scaled by the decoder library in the coded colour format, several times faster than converting a large picture
to RGB first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from magictalk_core.media.container import MediaError, orientation, scaler, to_rgb, turn
from magictalk_core.media.crop import Box, CropBox, apply_crop
from magictalk_core.media.frame_filter import FrameFilter, shape_of
from magictalk_core.media.square import upright_size
from magictalk_core.vocabulary.clips import Reason

__all__ = ["CropReader", "ScaledBox", "Sighting", "scale_box", "small_rgb", "upright_size"]


_PLAIN: dict[str, Any] = {"format": "yuv420p", "threads": 1}
_RGB: dict[str, Any] = {"format": "rgb24", "threads": 1}
_CODED: dict[str, Any] = {"format": "yuv420p", "dst_colorspace": "ITU601", "dst_color_range": "MPEG", "threads": 1}


@dataclass(frozen=True)
class ScaledBox:
    """A detection in pixels of the full picture, with what the small picture it was found in says about it."""

    x: float
    y: float
    width: float
    height: float
    score: float
    yaw_deg: float
    sharpness: float
    roll_deg: float = 0.0


@dataclass(frozen=True)
class Sighting:
    """One probed frame: the face that is followed, None where it is missing, among all `faces`; and whose it is:
    people are counted as they are followed, and told apart by their places alone."""

    face: ScaledBox | None
    faces: tuple[ScaledBox, ...]
    person: int = -1


def scale_box(box: Box, scale: float, yaw_deg: float = 0.0, sharpness: float = 0.0, roll_deg: float = 0.0) -> ScaledBox:
    sides = (box.x * scale, box.y * scale, box.width * scale, box.height * scale)
    return ScaledBox(*sides, box.score, yaw_deg, sharpness, roll_deg)


def small_rgb(frame: Any, side: int) -> tuple[NDArray[np.uint8], float]:
    """Upright RGB with its longer side at most `side`, and the factor back to full pixels."""
    longer = max(frame.width, frame.height)
    if longer <= side:
        return to_rgb(frame), 1.0
    width, height = max(1, round(frame.width * side / longer)), max(1, round(frame.height * side / longer))
    # In two steps: scaling and converting at once takes more than twice as long.
    shrunk: Any = scaler("shrink").reformat(frame, width=width, height=height, interpolation="AREA", **_PLAIN)
    small: Any = scaler("small").reformat(shrunk, **_RGB)
    return turn(small.to_ndarray(), orientation(frame)), longer / side


class CropReader:
    """Cuts the same square out of every frame of a clip and scales it to the frames that the encoder takes: `size`
    square, yuv420p, BT.601, limited range."""

    def __init__(self, first: Any, crop: CropBox, size: int) -> None:
        self._shape = shape_of(first)
        self._orientation = orientation(first)
        self._size = size
        width, height = upright_size(first)
        inside = crop.x >= 0 and crop.y >= 0 and crop.x + crop.size <= width and crop.y + crop.size <= height
        x, y = _coded_corner(crop, self._orientation, first.width, first.height)
        self._fast = inside
        self._crop = crop
        # One each: a scaler that changes between pictures is set up again for every picture.
        self._to_size, self._to_coded = VideoReformatter(), VideoReformatter()
        if self._fast:
            # Even in the coded picture too, which a turned picture of odd size would upset.
            corner = {"x": str(x - x % 2), "y": str(y - y % 2)}
            self._cut = FrameFilter(first, [("crop", {"w": str(crop.size), "h": str(crop.size), **corner})])

    def read(self, frame: Any) -> Any:
        """The crop as `av.VideoFrame`."""
        if not self._is_inside(frame):
            rgb = apply_crop(to_rgb(frame), self._crop, self._size)
            return self._to_coded.reformat(av.VideoFrame.from_ndarray(rgb, format="rgb24"), **_CODED)
        small = self._scaled(frame, _CODED)
        return _turned(small, self._orientation) if any(self._orientation) else small

    def read_rgb(self, frame: Any) -> NDArray[np.uint8]:
        """The crop as upright RGB, uint8 (size, size, 3), in the colours of the frame."""
        if not self._is_inside(frame):
            return apply_crop(to_rgb(frame), self._crop, self._size)
        # In two steps: scaling and converting at once is three times slower.
        small = self._to_coded.reformat(self._scaled(frame, _PLAIN), **_RGB)
        return turn(np.asarray(small.to_ndarray(), np.uint8), self._orientation)

    def _is_inside(self, frame: Any) -> bool:
        if shape_of(frame) != self._shape:
            raise MediaError(Reason.UNREADABLE, "the picture size changes within the clip")
        return self._fast

    def _scaled(self, frame: Any, form: dict[str, Any]) -> Any:
        method = "AREA" if self._crop.size >= self._size else "BICUBIC"
        return self._to_size.reformat(
            self._cut.one(frame), width=self._size, height=self._size, interpolation=method, **form
        )


def _turned(frame: Any, turned: tuple[bool, bool, bool]) -> Any:
    """A square yuv420p frame after `orientation`, plane by plane."""
    side = frame.width
    planes = frame.to_ndarray().reshape(-1)
    cuts = np.split(planes, [side * side, side * side * 5 // 4])
    sides = (side, side // 2, side // 2)
    upright = [turn(plane.reshape(n, n, 1), turned).reshape(-1) for plane, n in zip(cuts, sides, strict=True)]
    result = av.VideoFrame.from_ndarray(np.concatenate(upright).reshape(side * 3 // 2, side), format="yuv420p")
    result.colorspace, result.color_range = frame.colorspace, frame.color_range
    return result


def _coded_corner(crop: CropBox, turned: tuple[bool, bool, bool], width: int, height: int) -> tuple[int, int]:
    """Top left corner, in the coded picture, of a square given in the upright one."""
    transpose, flip_x, flip_y = turned
    upright_width, upright_height = (height, width) if transpose else (width, height)
    x = upright_width - crop.x - crop.size if flip_x else crop.x
    y = upright_height - crop.y - crop.size if flip_y else crop.y
    return (y, x) if transpose else (x, y)
