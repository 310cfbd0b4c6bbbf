"""What an expression does to the light on a face: furrows between the brows, lines on the forehead, folds by the nose.

Each is a map of log brightness over the portrait, drawn once along lines of the face mesh: the bottom of a furrow is
dark, the bulge beside it, which faces the light from above, bright. A frame multiplies the skin by the maps' sum, each
with the weight of the shapes that raise it. That is a normal map's change for one light, worked out beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.portrait.surface import PortraitSurface
from magictalk_core.rig.shapes import mirror_indices
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["FOLDS", "Fold", "fold_maps", "fold_weights", "without_smile_folds"]

Points = NDArray[np.float64]
Corner = tuple[int, int, float]
"""A place between two landmarks, and how far from the first to the second."""


@dataclass(frozen=True)
class Fold:
    """`lines` of the subject's left half, mirrored where `mirrored`; `width` of the furrow and `bulge` beside it in cm:
    the way (x, y) from its bottom to the top of the bulge; `depth` of its shadow, log brightness at weight 1; `shapes`
    raise it, each with a factor."""

    lines: tuple[tuple[Corner, ...], ...]
    width: float
    bulge: tuple[float, float]
    depth: float
    shapes: tuple[tuple[str, float], ...]
    mirrored: bool = True


def _pair(name: str, factor: float) -> tuple[tuple[str, float], ...]:
    return ((f"{name}Left", factor / 2), (f"{name}Right", factor / 2))


FOLDS: tuple[Fold, ...] = (
    # Between the brows: two upright lines, drawn by the corrugator.
    Fold(
        (((9, 336, 0.5), (9, 285, 0.48), (8, 285, 0.5)),),
        0.16, (0.24, 0.0), 0.26, _pair("browDown", 1.25),
    ),
    # The brow ridge throws its shadow into the inner corner of the eye.
    Fold(
        (((8, 285, 0.75), (285, 413, 0.42), (295, 441, 0.5), (282, 443, 0.5), (283, 444, 0.6)),),
        0.3, (0.0, 0.34), 0.34, _pair("browDown", 1.1),
    ),
    # Across the forehead: the middle rises with the inner brows, the sides with the outer ones.
    Fold(
        (
            ((9, 151, 0.85), (336, 337, 0.85), (296, 299, 0.75)),
            ((151, 10, 0.3), (337, 338, 0.4), (299, 297, 0.3)),
        ),
        0.14, (0.0, 0.26), 0.15, (("browInnerUp", 1.0),),
    ),
    Fold(
        (
            ((296, 299, 0.85), (334, 333, 0.8), (293, 298, 0.75)),
            ((299, 297, 0.4), (333, 332, 0.35), (298, 284, 0.35)),
        ),
        0.14, (0.0, 0.26), 0.15, _pair("browOuterUp", 1.0),
    ),
    # Across the root of the nose.
    Fold(
        (((168, 6, 0.2), (417, 351, 0.25)), ((168, 6, 0.7), (417, 351, 0.7))),
        0.1, (0.0, 0.16), 0.22, _pair("noseSneer", 1.0),
    ),
    # From the wing of the nose past the corner of the mouth, with the cheek bulging above.
    Fold(
        (((358, 423, 0.35), (358, 423, 0.9), (423, 426, 0.6), (426, 436, 0.5), (436, 432, 0.25)),),
        0.22, (0.38, 0.2), 0.24, (*_pair("mouthSmile", 0.9), *_pair("noseSneer", 0.7), *_pair("mouthUpperUp", 0.25)),
    ),
    # Under the eye and beside it, where cheeks rise.
    Fold(
        (
            ((453, 464, 0.2), (451, 452, 0.0), (450, 450, 0.0), (449, 348, 0.1), (448, 448, 0.0)),
            ((263, 359, 0.5), (359, 446, 0.4), (446, 356, 0.5)),
        ),
        0.13, (0.0, -0.24), 0.22, (*_pair("cheekSquint", 0.8), *_pair("eyeSquint", 0.35)),
    ),
    # Down from the corners of the mouth, and above the chin.
    Fold(
        (((291, 287, 0.4), (287, 273, 0.3), (273, 422, 0.5)), ((18, 200, 0.25), (313, 421, 0.2), (406, 418, 0.15))),
        0.18, (0.05, -0.3), 0.26, (*_pair("mouthFrown", 1.0), ("mouthShrugLower", 0.7)),
    ),
)  # fmt: skip
"""Eight of them: two textures of four channels."""

_WEIGHTS = np.zeros((len(FOLDS), len(ARKIT_NAMES)))
for _number, _fold in enumerate(FOLDS):
    for _name, _factor in _fold.shapes:
        _WEIGHTS[_number, ARKIT_NAMES.index(_name)] += _factor
_DENSE = 70


def fold_weights(row: NDArray[np.floating]) -> NDArray[np.float64]:
    """(8,) how strongly each fold shows for a relative motion row (58,); shapes taken back smooth it."""
    return np.clip(_WEIGHTS @ row[: len(ARKIT_NAMES)].astype(np.float64), -0.3, 1.2)


def fold_maps(surface: PortraitSurface, width: int, height: int) -> NDArray[np.float32]:
    """(height, width, 8): log brightness of every fold at weight 1, in the portrait's own pixels."""
    maps = np.zeros((height, width, len(FOLDS)), np.float32)
    mirror = mirror_indices()
    for number, fold in enumerate(FOLDS):
        dark, light = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
        for line in fold.lines:
            for side in (1, -1) if fold.mirrored else (1,):
                corners = np.array([_corner(surface.face, c, mirror if side < 0 else None) for c in line])
                bulge = surface.rig_direction(np.array([fold.bulge[0] * side, fold.bulge[1], 0.0]))
                _stroke(dark, corners, fold.width * surface.scale)
                _stroke(light, corners + bulge, 1.5 * fold.width * surface.scale)
        maps[..., number] = -fold.depth * dark + 0.32 * fold.depth * light * (1 - dark)
    return maps


_OF_A_SMILE = (5, 6)
_SOFTENED_CM, _AROUND_CM = 0.42, 0.5
_SOFTENED = 0.8


def without_smile_folds(
    picture: NDArray[np.uint8], landmarks: NDArray[np.floating], scale: float, share: float
) -> NDArray[np.uint8]:
    """The picture (h, w, 3) whose folds of a smile, where landmarks (468, 3) say they are, are lightened by `share` to
    what is around them. `scale`: pixels per centimetre."""
    face = landmarks[:, :3].astype(np.float64) * [1, -1, -1]
    height, width = picture.shape[:2]
    mask = np.zeros((height, width), np.float32)
    mirror = mirror_indices()
    for number in _OF_A_SMILE:
        for line in FOLDS[number].lines:
            for side in (None, mirror):
                _stroke(mask, np.array([_corner(face, c, side) for c in line]), _SOFTENED_CM * scale)
    values = picture.astype(np.float32)
    around = cv2.GaussianBlur(values, (0, 0), _AROUND_CM * scale)
    light, near = values.mean(axis=2), around.mean(axis=2)
    # Only what is darker than its surroundings, and not as dark as hair.
    lack = np.clip((near - light) / np.maximum(0.12 * near, 1.0), 0, 1) * (light > 0.3 * near)
    part = (mask * cv2.GaussianBlur(lack.astype(np.float32), (0, 0), 0.06 * scale) * share * _SOFTENED)[..., None]
    return np.asarray(np.clip(values + (around - values) * part, 0, 255).round(), np.uint8)


def _corner(face: Points, corner: Corner, mirror: NDArray[np.int32] | None) -> Points:
    first, second, share = corner
    if mirror is not None:
        first, second = int(mirror[first]), int(mirror[second])
    return np.asarray(face[first] + (face[second] - face[first]) * share)


def _stroke(canvas: NDArray[np.float32], corners: Points, sigma: float) -> None:
    """A soft line through the corners, pixels with y up, that fades out at its ends."""
    steps = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners[:, :2], axis=0), axis=1))])
    along = np.linspace(0, steps[-1], _DENSE)
    x, y = np.interp(along, steps, corners[:, 0]), -np.interp(along, steps, corners[:, 1])
    strength = np.sin(np.pi * np.clip(np.linspace(0, 1, _DENSE) * 0.86 + 0.07, 0, 1)) ** 0.7
    sigma = max(sigma, 0.8)
    reach = int(np.ceil(3 * sigma))
    height, width = canvas.shape
    for px, py, s in zip(x, y, strength, strict=True):
        left, top = max(0, int(px) - reach), max(0, int(py) - reach)
        right, bottom = min(width, int(px) + reach + 2), min(height, int(py) + reach + 2)
        if right <= left or bottom <= top:
            continue
        rows, columns = np.mgrid[top:bottom, left:right] + 0.5
        spot = s * np.exp(-((columns - px) ** 2 + (rows - py) ** 2) / (2 * sigma**2))
        part = canvas[top:bottom, left:right]
        np.maximum(part, spot, out=part)
