"""From decoded frames to the two pictures that standardizing needs: a small one to find faces, and the crop.

Both are scaled by the decoder library in the coded colour format, several times faster than converting a large picture
to RGB first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from magictalk_core.corpora.records import Reason
from magictalk_core.media.container import MediaError, orientation, to_rgb, turn
from magictalk_core.media.crop import Box, CropBox, apply_crop

__all__ = ["CropReader", "ScaledBox", "scale_box", "small_rgb", "upright_size"]


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


def scale_box(box: Box, scale: float, yaw_deg: float = 0.0, sharpness: float = 0.0) -> ScaledBox:
    sides = (box.x * scale, box.y * scale, box.width * scale, box.height * scale)
    return ScaledBox(*sides, box.score, yaw_deg, sharpness)


def upright_size(frame: Any) -> tuple[int, int]:
    """(width, height) of the frame after it is turned upright."""
    return (frame.height, frame.width) if orientation(frame)[0] else (frame.width, frame.height)


def small_rgb(frame: Any, side: int) -> tuple[NDArray[np.uint8], float]:
    """Upright RGB with its longer side at most `side`, and the factor back to full pixels."""
    longer = max(frame.width, frame.height)
    if longer <= side:
        return to_rgb(frame), 1.0
    width, height = max(1, round(frame.width * side / longer)), max(1, round(frame.height * side / longer))
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    return turn(small.to_ndarray(), orientation(frame)), longer / side


class CropReader:
    """Cuts the same square out of every frame of a clip and scales it to (size, size, 3) RGB."""

    def __init__(self, first: Any, crop: CropBox, size: int) -> None:
        self._shape = (first.width, first.height, first.format.name)
        self._orientation = orientation(first)
        self._size = size
        width, height = upright_size(first)
        inside = crop.x >= 0 and crop.y >= 0 and crop.x + crop.size <= width and crop.y + crop.size <= height
        # Even offsets: chroma samples cannot be split.
        x, y = _coded_corner(crop, self._orientation, first.width, first.height)
        self._fast = inside and crop.size >= size
        self._crop = crop
        if self._fast:
            self._graph = _crop_graph(first, x - x % 2, y - y % 2, crop.size)

    def read(self, frame: Any) -> NDArray[np.uint8]:
        if (frame.width, frame.height, frame.format.name) != self._shape:
            raise MediaError(Reason.UNREADABLE, "the picture size changes within the clip")
        if not self._fast:
            return apply_crop(to_rgb(frame), self._crop, self._size)
        _, source, sink = self._graph
        source.push(frame)
        part = sink.pull()
        small = part.reformat(width=self._size, height=self._size, format="rgb24", interpolation="AREA")
        return turn(small.to_ndarray(), self._orientation)


def _coded_corner(crop: CropBox, turned: tuple[bool, bool, bool], width: int, height: int) -> tuple[int, int]:
    """Top left corner, in the coded picture, of a square given in the upright one."""
    transpose, flip_x, flip_y = turned
    upright_width, upright_height = (height, width) if transpose else (width, height)
    x = upright_width - crop.x - crop.size if flip_x else crop.x
    y = upright_height - crop.y - crop.size if flip_y else crop.y
    return (y, x) if transpose else (x, y)


def _crop_graph(frame: Any, x: int, y: int, size: int) -> tuple[Any, Any, Any]:
    """A filter that crops without copying: its graph, which must be kept alive, and its two ends."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or av.time_base
    )
    crop, sink = graph.add("crop", f"{size}:{size}:{x}:{y}"), graph.add("buffersink")
    source.link_to(crop)
    crop.link_to(sink)
    graph.configure()
    return graph, source, sink
