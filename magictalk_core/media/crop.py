"""One fixed square crop per clip around the speaker's face."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Box",
    "CropBox",
    "Window",
    "apply_crop",
    "evidence",
    "face_crop",
    "follow_speaker",
    "same_face",
    "window_crop",
]

_MIN_SCALE = 1.3
_MIN_OVERLAP = 0.1
_NO_EVIDENCE, _FULL_EVIDENCE = 0.5, 0.75
"""Scores: the detector's least one, and what faces reach. Cloth and hands that it takes for faces have up to 0.68."""


class Box(Protocol):
    """A detected face: left, top, width, height in pixels, and a score."""

    @property
    def x(self) -> float: ...
    @property
    def y(self) -> float: ...
    @property
    def width(self) -> float: ...
    @property
    def height(self) -> float: ...
    @property
    def score(self) -> float: ...


Face = TypeVar("Face", bound=Box)


@dataclass(frozen=True)
class CropBox:
    """A square in picture pixels; it may reach over the picture's edge, where the edge pixels are repeated."""

    x: int
    y: int
    size: int


@dataclass(frozen=True)
class Window:
    """The part of the upright picture that the corpus's own list gives to a clip, in pixels; not always square."""

    x: int
    y: int
    width: int
    height: int

    def holds(self, box: Box) -> bool:
        """Whether the centre of a face lies inside."""
        x, y = box.x + box.width / 2, box.y + box.height / 2
        return self.x <= x < self.x + self.width and self.y <= y < self.y + self.height


def _overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    both = max(0.0, width) * max(0.0, height)
    return both / (a.width * a.height + b.width * b.height - both + 1e-9)


def same_face(a: Box, b: Box) -> bool:
    """Whether two boxes of neighbouring probes may be one person's."""
    return _overlap(a, b) >= _MIN_OVERLAP


def evidence(box: Box) -> float:
    """How much a box says that somebody's face is meant: its side in pixels, and far less where it is not sure."""
    sure = (box.score - _NO_EVIDENCE) / (_FULL_EVIDENCE - _NO_EVIDENCE)
    return min(1.0, max(0.0, sure)) ** 3 * box.score * math.sqrt(box.width * box.height)


def follow_speaker(detections: Sequence[Sequence[Face]], before: Face | None = None) -> list[Face | None]:
    """The face of one person in every probed frame, None where it is missing.

    Boxes that overlap from probe to probe are one person's; the person with the most evidence over all probes is the
    speaker, and is followed both ways from his best box, each time to the face that overlaps the last known one most.
    So neither a second person nor a large thing that once looks like a face takes the crop over. With `before`, the
    face of the person just before the first frame, that person is followed and nobody else.
    """
    found: list[Face | None] = [None] * len(detections)
    if before is not None:
        _follow(before, detections, range(len(detections)), found)
        return found
    tracks = _tracks(detections)
    if not tracks:
        return found
    speaker = max(tracks, key=lambda track: sum(evidence(box) for _, box in track))
    seed, start = max(speaker, key=lambda seen: evidence(seen[1]))
    found[seed] = start
    _follow(start, detections, range(seed + 1, len(detections)), found)
    _follow(start, detections, range(seed - 1, -1, -1), found)
    return found


def _tracks(detections: Sequence[Sequence[Face]]) -> list[list[tuple[int, Face]]]:
    """Every detection, as (probe, box), in the track whose last box it overlaps most, or in a new one."""
    tracks: list[list[tuple[int, Face]]] = []
    for probe, seen in enumerate(detections):
        free = list(tracks)
        for box in sorted(seen, key=evidence, reverse=True):
            track = max(free, key=lambda one: _overlap(one[-1][1], box), default=None)
            if track is not None and same_face(track[-1][1], box):
                free.remove(track)
                track.append((probe, box))
            else:
                tracks.append([(probe, box)])
    return tracks


def _follow(last: Face, detections: Sequence[Sequence[Face]], order: Iterable[int], found: list[Face | None]) -> None:
    """Fill in `found`, frame by frame, with the face that overlaps the last known one."""
    for i in order:
        best = max(detections[i], key=lambda box: _overlap(box, last), default=None)
        if best is not None and same_face(best, last):
            found[i] = last = best


def face_crop(boxes: Sequence[Box], width: int, height: int, scale: float) -> CropBox:
    """Square of `scale` times the longer side of the union of `boxes`, around its centre, of even size.

    It is shifted into the picture where it fits. A square larger than the picture's shorter side shrinks to that side,
    but not below 1.3 times the union: real pixels are worth more than margin, and the face is never cut.
    """
    left, top = min(b.x for b in boxes), min(b.y for b in boxes)
    right, bottom = max(b.x + b.width for b in boxes), max(b.y + b.height for b in boxes)
    union = max(right - left, bottom - top)
    size = min(scale * union, max(float(min(width, height)), min(scale, _MIN_SCALE) * union))
    side = max(2, 2 * round(size / 2))
    if side > min(width, height) >= side - 1:
        side -= 2  # rounding up to even must not leave the picture by one pixel
    x, y = round((left + right - side) / 2), round((top + bottom - side) / 2)
    return CropBox(_inside(x, side, width), _inside(y, side, height), side)


def window_crop(window: Window, width: int, height: int) -> CropBox:
    """The square of the window's longer side around its centre, of even size, shifted into the picture where it fits.

    A window is cut by the picture's edge more often than it is meant to be narrow, so the square looks further on the
    sides where there is more to see.
    """
    side = max(2, 2 * round(max(window.width, window.height) / 2))
    if side > min(width, height) >= side - 1:
        side -= 2
    x, y = round(window.x + (window.width - side) / 2), round(window.y + (window.height - side) / 2)
    return CropBox(_inside(x, side, width), _inside(y, side, height), side)


def _inside(position: int, side: int, length: int) -> int:
    """`position` moved so that the side lies within the length, or covers it evenly where it is longer.

    Even where it lies within, since two pixels share a chroma sample.
    """
    if side > length:
        return min(0, max(length - side, position))
    moved = min(max(0, position), length - side)
    return moved - moved % 2


def apply_crop(rgb: NDArray[np.uint8], crop: CropBox, size: int) -> NDArray[np.uint8]:
    """The crop of an upright picture (h, w, 3) scaled to (size, size, 3): area averaging down, cubic up."""
    height, width = rgb.shape[:2]
    x0, y0 = max(0, crop.x), max(0, crop.y)
    x1, y1 = min(width, crop.x + crop.size), min(height, crop.y + crop.size)
    part = rgb[y0:y1, x0:x1]
    edges = (y0 - crop.y, crop.y + crop.size - y1, x0 - crop.x, crop.x + crop.size - x1)
    if any(edges):
        part = cv2.copyMakeBorder(part, *edges, cv2.BORDER_REPLICATE)
    if crop.size != size:
        method = cv2.INTER_AREA if crop.size > size else cv2.INTER_CUBIC
        part = cv2.resize(part, (size, size), interpolation=method)
    return np.ascontiguousarray(part, dtype=np.uint8)
