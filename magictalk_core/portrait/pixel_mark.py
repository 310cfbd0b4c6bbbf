"""A mark in the pixels of every generated video, read back after re-encoding and rescaling, when all metadata is gone.

A pattern of 24 x 24 cells over the whole frame, whatever its size, is added to the blue-yellow difference (Cb), where
eyes are weakest; brightness stays as it is. Every cell carries, with a fixed sign, one bit of `mark_code`. The reader
averages frames, takes off each cell what its neighbours and the other two channels explain (edges of a picture show in
all three, the mark in one), and decodes the rest. Cells, signs, order and code are a contract: version 1.

Read after cropping, turning or a change of shape by padding it is not. A mark says where a video comes from; whoever
wants to can take it out or put it into another, so it proves nothing against intent.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.portrait.mark_code import CODED_BITS, PAYLOAD_BITS, decode, encode

__all__ = ["MARK_DIGITS", "MARK_GRID", "MarkReader", "MarkReading", "PixelMark"]

MARK_GRID = 24
"""Cells along a side."""
MARK_DIGITS = PAYLOAD_BITS // 4
"""Hexadecimal digits of a payload."""

_NAME = b"magictalk pixel mark 1"
_AMPLITUDE = 2.1
"""Levels of Cb. In RGB at 256 px that is 42.4 dB."""
_BLUE, _GREEN = 1.772, -0.344
"""What one level of Cb adds, by BT.601."""

_NEAR, _AROUND, _ALIKE = 0.8, 1.5, 1.2
"""Widths in cells: of what is taken for the picture itself, of a local fit, of a local strength."""
_RIDGE, _FLOOR = 0.3, 0.1
_MOST = 1.5
"""Levels beyond which a cell is not believed."""
_CHANCE = 1e-6
"""Of reading a mark where there is none."""

Grid = NDArray[np.float32]


@cache
def _key() -> tuple[NDArray[np.int64], Grid]:
    """Of every cell (576,) the bit that it carries, and the sign with which it does."""
    cells = MARK_GRID**2
    raw = hashlib.shake_256(_NAME).digest(cells * 5)
    order = np.argsort(np.frombuffer(raw[: cells * 4], ">u4"), kind="stable")
    bits = np.empty(cells, np.int64)
    bits[order] = np.arange(cells) % CODED_BITS
    signs = (np.frombuffer(raw[cells * 4 :], np.uint8) & 1) * 2.0 - 1.0
    return bits, signs.astype(np.float32)


def _cells_of(payload: int) -> Grid:
    """-1 and 1, (24, 24)."""
    bits, signs = _key()
    return (encode(payload)[bits] * signs).reshape(MARK_GRID, MARK_GRID)


class PixelMark:
    """The mark of one video. `payload`: 8 hexadecimal digits, the beginning of the digest of the work that made it."""

    def __init__(self, payload: str) -> None:
        if len(payload) != MARK_DIGITS:
            raise ValueError(f"expected {MARK_DIGITS} hexadecimal digits, found `{payload}`")
        self.payload = payload
        self._cells = _cells_of(int(payload, 16))
        self._pattern = np.empty((0, 0, 3), np.int16)

    def applied(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A marked copy of an RGB frame (h, w, 3)."""
        if self._pattern.shape != frame.shape:
            self._pattern = self._drawn(*frame.shape[:2])
        return np.asarray(cv2.add(frame, self._pattern, dtype=cv2.CV_8U), np.uint8)

    def _drawn(self, height: int, width: int) -> NDArray[np.int16]:
        levels = _AMPLITUDE * cv2.resize(self._cells, (width, height), interpolation=cv2.INTER_CUBIC)
        colours = np.dstack([np.zeros_like(levels), _GREEN * levels, _BLUE * levels])
        return np.asarray(np.rint(colours), np.int16)


@dataclass(frozen=True)
class MarkReading:
    """`payload` in 8 hexadecimal digits; `score` in standard deviations; `chance` that a video without a mark gives at
    least that score for any payload, at most: Hoeffding's bound over the random signs."""

    payload: str
    score: float
    chance: float
    is_mirrored: bool = False


class MarkReader:
    """Takes frames one after the other and keeps their mean alone."""

    def __init__(self) -> None:
        self._sum = np.zeros((3, MARK_GRID, MARK_GRID), np.float64)
        self._frames = 0

    def add(self, planes: Iterable[NDArray[np.uint8]]) -> None:
        """Y, Cb and Cr of a frame, each of any size."""
        self._sum += [_means(plane) for plane in planes]
        self._frames += 1

    def add_rgb(self, frame: NDArray[np.uint8]) -> None:
        y, cr, cb = cv2.split(cv2.cvtColor(frame, cv2.COLOR_RGB2YCrCb))
        self.add([np.asarray(plane, np.uint8) for plane in (y, cb, cr)])

    def read(self) -> MarkReading | None:
        """The mark, also of a mirrored video; None where none is found."""
        if not self._frames:
            return None
        mean = (self._sum / self._frames).astype(np.float32)
        for mirrored in (False, True):
            reading = _decoded(_without_picture(mean[:, :, ::-1] if mirrored else mean), mirrored)
            if reading is not None:
                return reading
        return None


def _means(plane: NDArray[np.uint8]) -> Grid:
    """Mean of every cell."""
    sides = tuple(max(MARK_GRID, side) for side in plane.shape[:2])
    values = plane.astype(np.float32)
    if sides != plane.shape[:2]:
        values = cv2.resize(values, sides[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(values, (MARK_GRID, MARK_GRID), interpolation=cv2.INTER_AREA), np.float32)


def _smooth(values: NDArray[np.floating], width: float) -> Grid:
    return np.asarray(cv2.GaussianBlur(np.ascontiguousarray(values), (0, 0), width), np.float32)


def _without_picture(mean: Grid) -> Grid:
    """Of the mean channels (3, 24, 24) what of Cb neither its surroundings nor Y and Cr explain, each cell over the
    strength of those around it."""
    y, cb, cr = (channel - _smooth(channel, _NEAR) for channel in mean)
    others = np.stack([y, cr])
    products = np.empty((MARK_GRID, MARK_GRID, 2, 2), np.float32)
    wanted = np.empty((MARK_GRID, MARK_GRID, 2), np.float32)
    for i, one in enumerate(others):
        wanted[..., i] = _smooth(one * cb, _AROUND)
        for j, other in enumerate(others):
            products[..., i, j] = _smooth(one * other, _AROUND)
    shares = np.linalg.solve(products + _RIDGE * np.eye(2, dtype=np.float32), wanted[..., None])[..., 0]
    rest = np.clip(cb - np.einsum("ijk,kij->ij", shares, others), -_MOST, _MOST)
    return np.asarray(rest / (_smooth(rest * rest, _ALIKE) + _FLOOR), np.float32)


def _decoded(rest: Grid, mirrored: bool) -> MarkReading | None:
    bits, signs = _key()
    payload = decode(np.asarray(np.bincount(bits, rest.ravel() * signs, CODED_BITS), np.float64))
    norm = float(np.sqrt((rest * rest).sum()))
    if payload is None or norm == 0.0:
        return None
    score = float((rest * _cells_of(payload)).sum()) / norm
    if score <= 0:
        return None
    # Two readings, as given and mirrored, of 2**32 payloads each.
    chance = min(1.0, 2.0 ** (PAYLOAD_BITS + 1) * math.exp(-score * score / 2))
    return MarkReading(f"{payload:0{MARK_DIGITS}x}", score, chance, mirrored) if chance < _CHANCE else None
