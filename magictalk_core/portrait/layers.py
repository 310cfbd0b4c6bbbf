"""Textured pieces of a face that the skin covers but for its holes, and the picture that holds their textures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Atlas", "Layer", "Place", "grid_triangles"]

Points = NDArray[np.float64]
_PAD = 2


@dataclass(frozen=True, eq=False)
class Layer:
    """`vertices` (n, 3) in pixels of the portrait, y up, before the head turns; `texture` (n, 2) pixels of the atlas;
    `shade` (n, 4): factors of its colour and of its opacity. Layers of one `name` have the same `triangles`."""

    name: str
    vertices: Points
    texture: Points
    shade: Points
    triangles: NDArray[np.int32]


@dataclass(frozen=True)
class Place:
    """Where a texture of `width` x `height` pixels lies in the atlas."""

    left: int
    top: int
    width: int
    height: int

    def at(self, u: NDArray[np.floating] | float, v: NDArray[np.floating] | float) -> Points:
        """Atlas pixels (n, 2) of shares of this texture, from its upper left corner."""
        x, y = np.broadcast_arrays(np.asarray(u, np.float64), np.asarray(v, np.float64))
        return np.stack([self.left + x.ravel() * self.width, self.top + y.ravel() * self.height], axis=-1)


class Atlas:
    """One RGBA picture (side, side, 4) in which textures are laid in rows; a plain white one is always there."""

    def __init__(self, side: int) -> None:
        self.pixels = np.zeros((side, side, 4), np.uint8)
        self._x = self._y = self._row = 0
        self.white = self.add(np.full((4, 4, 4), 255, np.uint8))

    def multiplied(self) -> NDArray[np.uint8]:
        """The picture with colours multiplied by their opacity: what is not there lends edges no colour."""
        opacity = self.pixels[..., 3:].astype(np.uint16)
        colours = (self.pixels[..., :3] * opacity + 127) // 255
        return np.dstack([colours.astype(np.uint8), self.pixels[..., 3:]])

    def add(self, texture: NDArray[np.uint8]) -> Place:
        """Lay a texture (h, w, 4) down, its border repeated around it."""
        height, width = texture.shape[:2]
        side = len(self.pixels)
        if self._x + width + 2 * _PAD > side:
            self._x, self._y, self._row = 0, self._y + self._row, 0
        if width + 2 * _PAD > side or self._y + height + 2 * _PAD > side:
            raise ValueError(f"no room for {width}x{height} pixels in an atlas of {side}")
        padded = np.pad(texture, ((_PAD, _PAD), (_PAD, _PAD), (0, 0)), mode="edge")
        self.pixels[self._y : self._y + padded.shape[0], self._x : self._x + padded.shape[1]] = padded
        place = Place(self._x + _PAD, self._y + _PAD, width, height)
        self._x += padded.shape[1]
        self._row = max(self._row, padded.shape[0])
        return place


def grid_triangles(rows: int, columns: int, closed: bool = False) -> NDArray[np.int32]:
    """Triangles of rows x columns vertices; `closed` joins the last column to the first."""
    found = []
    for r in range(rows - 1):
        for c in range(columns if closed else columns - 1):
            a, b = r * columns + c, r * columns + (c + 1) % columns
            found += [(a, a + columns, b), (b, a + columns, b + columns)]
    return np.array(found, np.int32)
