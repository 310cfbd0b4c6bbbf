"""A portrait in two sheets: the person, cut out, and what is behind, completed where the person stands before it.

Laid on each other they are the picture itself. The cut follows the picture's own edges, finer than the network that
says where a person is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.mesh import FACE_OVAL
from magictalk_core.faces.person_mask import PersonMask

__all__ = ["Sheets", "WholeHead", "cut_out", "whole_head"]

Picture = NDArray[np.uint8]
Mask = NDArray[np.float32]

_AROUND = 3.2
"""Side of what the network sees over the height of the face: it knows people at arm's length from a camera."""
_SURE = 0.85
"""Least mean within the face: the network does not know every face, animals' least of all."""
_FINE = 0.05
"""How far, in widths of the face, the cut may follow the picture's edges."""
_EDGE = 1e-4
_BACKGROUND = 0.02
_AWAY = 0.012
"""Widths of the face: nearer to a person a background has something of its hair, and is not continued."""
_EVEN = 0.05
"""Widths of the face over which neighbouring pixels agree on where the background is mirrored."""


@dataclass(frozen=True, eq=False)
class WholeHead:
    """Hair, ears and neck turn with the face. `person` (h, w) 0..255 of the picture: then before a background that
    stays; None where the person is not told from it, and both give way."""

    person: Picture | None


@dataclass(frozen=True, eq=False)
class Sheets:
    """`person` (h, w, 4): colours multiplied by their opacity, and that; `behind` (h, w, 3)."""

    person: Picture
    behind: Picture


def whole_head(network: PersonMask, picture: Picture, landmarks: NDArray[np.floating]) -> WholeHead:
    """Of the person with that face (468, 2 or 3) in a picture (h, w, 3)."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    side = float((high - low).max()) * _AROUND
    height, width = picture.shape[:2]
    middle = (low + high) / 2
    left, top = np.floor(np.clip(middle - side / 2, 0, None)).astype(int)
    right, bottom = np.ceil(np.minimum(middle + side / 2, [width, height])).astype(int)
    seen = network.of(np.ascontiguousarray(picture[top:bottom, left:right]))
    # Beyond what the network saw the person goes on as at its edge: nothing is cut off there.
    whole = np.pad(seen, ((top, height - bottom), (left, width - right)), mode="edge")
    known = float(whole[_oval(landmarks, (height, width)) > 0].mean()) >= _SURE
    return WholeHead((whole * 255).round().astype(np.uint8) if known else None)


def cut_out(picture: Picture, person: Picture, landmarks: NDArray[np.floating]) -> Sheets:
    """A picture (h, w, 3) in two sheets along the person (h, w) 0..255 with that face (468, 2 or 3)."""
    face_width = float(np.ptp(landmarks[:, 0]))
    mask = np.maximum(_refined(picture, person, face_width), _oval(landmarks, picture.shape[:2]))
    away = max(1, round(_AWAY * face_width))
    near = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * away + 1,) * 2))
    filled = _mirrored(picture, near < _BACKGROUND, _EVEN * face_width)
    behind = np.where(mask[..., None] < _BACKGROUND, picture, filled).round().clip(0, 255)
    values, opacity = picture.astype(np.float32), mask[..., None]
    # What the background does not give of the picture: together they are the picture again.
    colours = np.clip(values - (1 - opacity) * behind, 0, 255)
    sheet = np.dstack([colours, 255 * opacity]).round().astype(np.uint8)
    return Sheets(sheet, behind.astype(np.uint8))


def _oval(landmarks: NDArray[np.floating], shape: tuple[int, ...]) -> Mask:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(landmarks[list(FACE_OVAL), :2]).astype(np.int32)], 1)
    return mask.astype(np.float32)


def _refined(picture: Picture, person: Picture, face_width: float) -> Mask:
    """(h, w) 0..1: the person along the edges of the picture (He et al. 2010), its uncertain grey made clear."""
    radius = max(2, round(_FINE * face_width))
    coarse = person.astype(np.float32) / 255
    fine = cv2.ximgproc.guidedFilter(picture.astype(np.float32) / 255, coarse, radius, _EDGE)
    return np.asarray(np.clip((fine - 0.04) / 0.88, 0, 1), np.float32)


def _mirrored(picture: Picture, known: NDArray[np.bool_], even: float) -> NDArray[np.float32]:
    """(h, w, 3): the known pixels, and elsewhere their mirror image at the border, which keeps the texture of curtains,
    trees and brush strokes; where that is unknown too, smoothly what is around."""
    smooth = _continued(picture, known)
    if known.all() or not known.any():
        return smooth
    hidden = np.where(known, 0, 255).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(hidden, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    rows, columns = np.mgrid[0 : known.shape[0], 0 : known.shape[1]].astype(np.float32)
    places = np.zeros((int(labels.max()) + 1, 2), np.float32)
    places[labels[known]] = np.stack([columns[known], rows[known]], axis=1)
    way = cv2.GaussianBlur(places[labels] - np.dstack([columns, rows]), (0, 0), max(even, 0.5))
    x, y = columns + 2 * way[..., 0], rows + 2 * way[..., 1]
    found = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101).astype(np.float32)
    sure = cv2.remap(known.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)[..., None]
    return np.asarray(np.where(known[..., None], picture, found * sure + smooth * (1 - sure)), np.float32)


def _continued(picture: Picture, known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(h, w, 3): the known pixels, and smoothly what they lead to elsewhere (Gortler et al. 1996, push and pull)."""
    if not known.any():
        return picture.astype(np.float32)
    weight = known.astype(np.float32)[..., None]
    levels = [(picture.astype(np.float32) * weight, weight)]
    while min(levels[-1][1].shape[:2]) > 1:
        half = tuple(-(-n // 2) for n in levels[-1][1].shape[1::-1])
        values, weight = levels[-1]
        levels.append((_halved(values, half), _halved(weight, half)))
    values, weight = levels[-1]
    filled = values / np.maximum(weight, 1e-6)
    for values, weight in reversed(levels[:-1]):
        grown = cv2.resize(filled, weight.shape[1::-1], interpolation=cv2.INTER_LINEAR).reshape(values.shape)
        share = np.minimum(weight, 1)
        filled = values / np.maximum(weight, 1e-6) * share + grown * (1 - share)
    return np.asarray(np.where(known[..., None], picture, filled), np.float32)


def _halved(values: NDArray[np.float32], size: tuple[int, ...]) -> NDArray[np.float32]:
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small if small.ndim == 3 else small[..., None], np.float32)
