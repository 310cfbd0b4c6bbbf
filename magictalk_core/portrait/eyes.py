"""The eyeballs of a portrait, behind its lids: the picture's own white and iris, completed where lids cover them.

An iris is looked for where a disc of its size (11.7 mm across in nearly all people) is darkest against what surrounds
it. What a lid hides of it is taken from its other half; the white is continued from what is seen of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.mesh import LEFT_EYE, RIGHT_EYE
from magictalk_core.portrait.layers import Atlas, Layer, Place
from magictalk_core.portrait.lids import LID_PAIRS
from magictalk_core.portrait.surface import PortraitSurface
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["Eyes"]

Points = NDArray[np.float64]
Picture = NDArray[np.float32]

_LOOPS = {"Left": LEFT_EYE, "Right": RIGHT_EYE}
_IRIS_CM = 0.585
_GAZE_CM = 0.46
"""Way of the iris at weight 1 of an eyeLook shape."""
_SHADOW_CM = 0.2
_QUAD = np.array([(0, 1, 2), (1, 3, 2)], np.int32)


@dataclass(frozen=True, eq=False)
class _Eye:
    """Textures of one eye in the atlas; `corner` (2,) of its square, `side` of it and the `iris` (2,) in pixels of the
    portrait, y down; `radius` of the iris' texture."""

    white: Place
    disc: Place
    corner: Points
    size: Points
    iris: Points
    radius: float
    depth: float


class Eyes:
    """Both eyes of a portrait (h, w, 3) with the landmarks of `surface`; their textures are laid into `atlas`."""

    def __init__(self, surface: PortraitSurface, picture: NDArray[np.uint8], atlas: Atlas) -> None:
        self._surface = surface
        self._shade_at = atlas.white
        self._eyes = {side: _read_eye(surface, picture, loop, atlas) for side, loop in _LOOPS.items()}

    def layers(self, face: Points, row: NDArray[np.floating]) -> list[Layer]:
        """From back to front, for a face (468, 3) as moved, before the head turns, and its motion row (58,)."""
        found = []
        for side, eye in self._eyes.items():
            found.append(_quad(f"white {side}", eye.corner, eye.size, eye.white, eye.depth))
            place = eye.iris + self._gaze(side, row)
            radius = np.array([eye.radius, eye.radius])
            found.append(_quad(f"iris {side}", place - radius, 2 * radius, eye.disc, eye.depth))
            found.append(self._lid_shadow(side, face, row))
        return found

    def _gaze(self, side: str, row: NDArray[np.floating]) -> Points:
        """Way of the iris in pixels, y down."""
        w = {n: float(row[ARKIT_NAMES.index(f"eyeLook{n}{side}")]) for n in ("In", "Out", "Up", "Down")}
        inward = -1.0 if side == "Left" else 1.0
        way = np.array([inward * (w["In"] - w["Out"]), 0.8 * (w["Up"] - w["Down"]), 0.0])
        moved = self._surface.rig_direction(np.tanh(way * 1.2) / 1.2 * _GAZE_CM)
        return np.asarray(moved[:2] * [1, -1])

    def _lid_shadow(self, side: str, face: Points, row: NDArray[np.floating]) -> Layer:
        """The upper lid's shadow on the eyeball, as far as the lid has left its place in the picture."""
        surface = self._surface
        up, _ = LID_PAIRS[side]
        edge, rest = face[list(up)], surface.face[list(up)]
        moved = np.abs(edge - rest)[:, 1:2] / surface.scale
        strength = np.clip(moved / 0.25, 0, 1) * 0.4
        reach = np.array([0.0, -_SHADOW_CM * surface.scale, 0.0])
        vertices = np.concatenate([edge - reach * 0.5, edge + reach])
        n = len(up)
        shade = np.zeros((2 * n, 4))
        shade[:n, 3:] = strength
        texture = np.repeat(self._shade_at.at(0.5, 0.5), 2 * n, axis=0)
        triangles = [(i, i + 1, n + i) for i in range(n - 1)] + [(i + 1, n + i + 1, n + i) for i in range(n - 1)]
        return Layer(f"lid shadow {side}", vertices, texture, shade, np.array(triangles, np.int32))


def _quad(name: str, corner: Points, size: Points, place: Place, depth: float) -> Layer:
    x, y = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    flat = corner + size * np.stack([x, y], axis=1)
    vertices = np.column_stack([flat * [1, -1], np.full(4, depth)])
    return Layer(name, vertices, place.at(x, y), np.ones((4, 4)), _QUAD)


def _read_eye(surface: PortraitSurface, picture: NDArray[np.uint8], loop: tuple[int, ...], atlas: Atlas) -> _Eye:
    rim = surface.face[list(loop)] * [1, -1, 1]
    radius = _IRIS_CM * surface.scale
    low = np.floor(rim[:, :2].min(axis=0) - radius)
    high = np.ceil(rim[:, :2].max(axis=0) + radius)
    size = (high - low).astype(int)
    fine = 2
    ys, xs = np.mgrid[0 : size[1] * fine, 0 : size[0] * fine].astype(np.float32)
    # Atlas pixel i has its middle at i + 0.5, as the picture's have.
    maps = ((xs + 0.5) / fine + float(low[0]) - 0.5, (ys + 0.5) / fine + float(low[1]) - 0.5)
    patch = cv2.remap(picture, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    local = (rim[:, :2] - low) * fine
    seen = np.zeros(patch.shape[:2], np.uint8)
    cv2.fillPoly(seen, [np.round(local * 16).astype(np.int32)], 1, shift=4)
    iris = _find_iris(patch, seen, local.mean(axis=0), radius * fine)
    disc, white = _complete(patch, seen, iris, radius * fine)
    places = atlas.add(white), atlas.add(disc)
    shown = disc.shape[0] / 2 / fine
    depth = float(rim[:, 2].mean() - 0.1 * surface.scale)
    return _Eye(places[0], places[1], low, size.astype(float), iris / fine + low, shown, depth)


def _find_iris(patch: Picture, seen: NDArray[np.uint8], middle: Points, radius: float) -> Points:
    """(2,) centre of the iris in the patch."""
    grey = patch.mean(axis=2)
    inside = seen.astype(np.float32)
    side = 2 * int(np.ceil(1.5 * radius)) + 1
    y, x = np.mgrid[0:side, 0:side] - side // 2
    far = np.hypot(x, y)
    disc = (far <= 0.9 * radius).astype(np.float32)
    ring = ((far > 1.05 * radius) & (far <= 1.5 * radius) & (np.abs(y) < 0.7 * radius)).astype(np.float32)

    def mean_over(kernel: Picture) -> tuple[Picture, Picture]:
        total = cv2.filter2D(grey * inside, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        count = cv2.filter2D(inside, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        return total / np.maximum(count, 1e-3), count

    (dark, known), (light, around) = mean_over(disc), mean_over(ring)
    rows, columns = np.mgrid[0 : patch.shape[0], 0 : patch.shape[1]]
    away = np.hypot((columns - middle[0]) / radius, (rows - middle[1]) / (0.8 * radius))
    score = (light - dark) * np.minimum(1.0, around / (0.12 * ring.sum())) - 9.0 * away**2
    score = np.where((known > 0.3 * disc.sum()) & (away < 1.4), score, -1e9)
    if score.max() <= -1e8:
        return middle
    top, left = np.unravel_index(int(score.argmax()), score.shape)
    return np.array([left + 0.5, top + 0.5])


def _complete(patch: Picture, seen: NDArray[np.uint8], iris: Points, radius: float) -> tuple[NDArray[np.uint8], ...]:
    """Textures (h, w, 4) of the iris, around its middle, and of the eyeball without it."""
    height, width = seen.shape
    rows, columns = np.mgrid[0:height, 0:width] + 0.5
    far = np.hypot(columns - iris[0], rows - iris[1])
    # Rims of lids have lashes and their shadow: neither is eyeball.
    sure = cv2.erode(seen, np.ones((3, 3), np.uint8), iterations=max(1, round(0.07 * radius)))
    outside = (sure > 0) & (far > 1.12 * radius)
    white = _continued(patch, outside if outside.sum() > 12 else sure > 0, 0.5 * radius)
    # At rest the picture itself is what is seen.
    own = cv2.GaussianBlur((seen > 0).astype(np.float32), (0, 0), 0.8)[..., None] * (far > 1.1 * radius)[..., None]
    white = white * (1 - own) + patch * own
    reach = int(np.ceil(1.15 * radius))
    side = 2 * reach
    y, x = np.mgrid[0:side, 0:side] - reach + 0.5
    near = np.hypot(x, y)

    def sampled(source: Picture, flip: bool) -> Picture:
        at_x, at_y = (x + iris[0] - 0.5), ((-y if flip else y) + iris[1] - 0.5)
        return np.asarray(cv2.remap(source, at_x.astype(np.float32), at_y.astype(np.float32), cv2.INTER_LINEAR))

    known = sampled(sure.astype(np.float32), False) > 0.99
    mirrored = sampled(sure.astype(np.float32), True) > 0.99
    disc = np.where(known[..., None], sampled(patch, False), sampled(patch, True))
    hidden = ~(known | mirrored)
    if hidden.any() and not hidden.all():
        disc = np.where(hidden[..., None], _continued(disc.astype(np.float32), ~hidden & (near < radius), 2.0), disc)
    alpha = np.clip((1.08 * radius - near) / (0.1 * radius) + 0.5, 0, 1) * 255
    opaque = np.full((height, width, 1), 255, np.float32)
    textures = (np.dstack([disc, alpha]), np.concatenate([white, opaque], axis=2))
    return tuple(np.clip(texture, 0, 255).round().astype(np.uint8) for texture in textures)


def _continued(picture: Picture, known: NDArray[np.bool_], sigma: float) -> Picture:
    """The picture, beyond what is known continued smoothly from there."""
    result, weight = picture * known[..., None], known.astype(np.float32)
    filled = weight.copy()
    for _ in range(6):
        blurred = cv2.GaussianBlur(result * filled[..., None], (0, 0), max(sigma, 0.8))
        total = cv2.GaussianBlur(filled, (0, 0), max(sigma, 0.8))
        reached = total > 1e-3
        average = blurred / np.maximum(total, 1e-6)[..., None]
        result = np.where(known[..., None], picture, np.where(reached[..., None], average, result))
        filled = np.maximum(weight, reached.astype(np.float32))
        if reached.all():
            break
        sigma *= 1.6
    return np.asarray(result, np.float32)
