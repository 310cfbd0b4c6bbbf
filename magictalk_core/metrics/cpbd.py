"""CPBD: the share of edges whose blur nobody would notice. Needs no reference picture; higher is sharper.

Narvekar and Karam, A no-reference image blur metric based on the cumulative probability of blur detection (2011), in
the form of the port that the field uses (0x64746b/python-cpbd). Widths are counted in pixels and blocks are 64 px, so a
value belongs to the size of its picture: never enlarge before scoring.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve
from skimage.feature import canny

from magictalk_core.errors import PermanentError
from magictalk_core.metrics.pictures import luminance

__all__ = ["cpbd"]

_BLOCK = 64
_EDGE_SHARE = 0.002
"""Of a block's pixels; with more Canny edges than that it counts."""
_LOW_CONTRAST, _JNB_LOW, _JNB_HIGH = 50, 5, 3
"""Just noticeable blur: 5 px in blocks of contrast up to 50, 3 px in the others."""
_MOST_STEPS = 100
_VERTICAL_EDGES = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]) / 8.0

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def cpbd(picture: NDArray[Any]) -> float:
    """0 to 1 of a picture (H, W) or (H, W, 3) uint8; 0 where it has no edge to measure.

    Rows and columns beyond the last whole block of 64 do not count. Raises `PermanentError` for a picture without one
    whole block.
    """
    grey = luminance(picture).astype(np.float64)
    rows, columns = grey.shape[0] // _BLOCK, grey.shape[1] // _BLOCK
    if not rows or not columns:
        raise PermanentError(f"CPBD needs a picture of at least {_BLOCK} x {_BLOCK} pixels, found {grey.shape}")
    widths = _edge_widths(grey)
    blocks, edges = _blocks(grey, rows, columns), _blocks(canny(grey), rows, columns)
    counts = np.count_nonzero(edges, axis=1) > _EDGE_SHARE * _BLOCK**2
    contrast = (blocks.max(axis=1) - blocks.min(axis=1)).astype(np.int64)
    noticeable = np.where(contrast <= _LOW_CONTRAST, _JNB_LOW, _JNB_HIGH)
    measured = _blocks(widths, rows, columns) * counts[:, None]
    total = int(np.count_nonzero(measured))
    # P(blur seen) = 1 - exp(-(w / JNB)^3.6) is at most 0.63, the bins 0..63 of its histogram, just where w <= JNB.
    unseen = int(np.count_nonzero((measured > 0) & (measured <= noticeable[:, None])))
    return unseen / total if total else 0.0


def _blocks(values: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """(blocks, 4096) of a picture's values."""
    inside = values[: rows * _BLOCK, : columns * _BLOCK]
    return inside.reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2).reshape(rows * columns, _BLOCK**2)


def _vertical_edges(grey: Floats) -> Bools:
    """Where the squared horizontal gradient is strong and a strict maximum along a row or a column."""
    strength = np.square(convolve(grey, _VERTICAL_EDGES))
    strength[strength <= 2 * np.sqrt(strength.mean())] = 0
    around = np.pad(strength, 1)
    along_x = (strength > around[1:-1, :-2]) & (strength > around[1:-1, 2:])
    along_y = (strength > around[:-2, 1:-1]) & (strength > around[2:, 1:-1])
    return np.asarray(along_x | along_y)


def _edge_widths(grey: Floats) -> NDArray[np.int64]:
    """(H, W) pixels over which the grey level rises or falls through each edge whose gradient is level; 0 elsewhere."""
    down, across = np.gradient(grey)
    # A pixel without horizontal gradient keeps the angle 0, as in the port.
    angle = np.where(across == 0, 0.0, np.degrees(np.arctan2(down, across)))
    direction = np.round(angle / 45)
    edges = _vertical_edges(grey)
    edges[[0, -1]] = False
    edges[:, [0, -1]] = False
    rises, falls = edges & (direction == 0), edges & (np.abs(direction) == 4)
    step = np.diff(grey, axis=1)
    # To the left of a rising edge the level falls outward, to its right it rises; a falling edge is the mirror image.
    width_rising = _steps_left(step > 0) + _steps_right(step > 0)
    width_falling = _steps_left(step < 0) + _steps_right(step < 0)
    return np.asarray(np.where(rises, width_rising, 0) + np.where(falls, width_falling, 0), np.int64)


def _steps_right(goes_on: Bools) -> NDArray[np.int64]:
    """Per pixel: 1 and the steps over which `goes_on` (H, W - 1) holds from its right neighbour on, at most 101."""
    return _steps_left(goes_on[:, ::-1])[:, ::-1]


def _steps_left(goes_on: Bools) -> NDArray[np.int64]:
    """The same towards the left; `goes_on[:, i]` is the step between the pixels i and i + 1."""
    height, width = goes_on.shape[0], goes_on.shape[1] + 1
    places = np.arange(width)
    stops = np.zeros((height, width), np.int64)  # pixel 0 stops: beyond it lies no picture
    stops[:, 1:] = np.where(goes_on, 0, places[1:])
    run = places - np.maximum.accumulate(stops, axis=1)
    steps = np.ones((height, width), np.int64)
    steps[:, 1:] = 1 + np.minimum(run[:, :-1], _MOST_STEPS)
    return steps
