"""Animating a still portrait by warping its own texture over its face mesh.

Drawn back to front: eye interiors (the portrait's own eyes, following the gaze), the mouth interior (dark cavity, the
portrait's own teeth where it shows them, drawn ones elsewhere), then the skin, whose holes at lids and lips show what
lies behind. Relative motion: what is applied is motion minus reference, the expression that the portrait already has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.portrait.surface import EYE_LOOPS, LOWER_LIP, MOUTH_LOOP, UPPER_LIP, PortraitSurface, fan
from magictalk_core.rig.canvas import Canvas
from magictalk_core.rig.rig import Rig
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES

__all__ = ["CROP_SCALE", "PortraitAnimator", "crop_to_face"]

CROP_SCALE = 1.75
"""Side of the square crop over the height of the landmarks."""

_GAZE_CM = 0.42
_NEUTRAL_ROW = np.zeros(len(MOTION_NAMES), np.float32)

_VERTEX = """
#version 330
uniform vec2 size;
in vec3 in_position; in vec2 in_texture; in vec4 in_tint;
out vec2 texture_place; out vec4 tint;
void main() {
  texture_place = in_texture / size;
  tint = in_tint;
  vec2 p = in_position.xy / size * 2.0;
  gl_Position = vec4(p.x - 1.0, p.y + 1.0, -in_position.z / (8.0 * size.x), 1.0);
}
"""
_FRAGMENT = """
#version 330
uniform sampler2D portrait;
in vec2 texture_place; in vec4 tint;
out vec4 result;
void main() {
  vec3 own = texture(portrait, texture_place).rgb;
  result = vec4(mix(own, tint.rgb, tint.a), 1.0);
}
"""


def crop_to_face(
    picture: NDArray[np.uint8], landmarks: NDArray[np.float32], size: int, scale: float = CROP_SCALE
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A square around the face at `size` pixels (edges replicated), and the landmarks in it."""
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    side = float((high - low).max()) * scale
    centre = (low + high) / 2 - [0, 0.06 * side]
    # A picture that is already a close crop is used whole rather than with replicated borders.
    side = min(side, float(max(picture.shape[:2])))
    corner = centre - side / 2
    for axis, length in ((0, picture.shape[1]), (1, picture.shape[0])):
        if side <= length:
            corner[axis] = float(np.clip(corner[axis], 0, length - side))
    zoom = size / side
    matrix = np.array([[zoom, 0, -corner[0] * zoom], [0, zoom, -corner[1] * zoom]])
    source = picture
    if zoom < 1:
        blur = 0.45 * (1 / zoom - 1)
        source = cv2.GaussianBlur(picture, (0, 0), blur) if blur > 0.2 else picture
    shifted = matrix.copy()
    shifted[:, 2] += 0.5 * zoom - 0.5
    crop = cv2.warpAffine(source, shifted, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved = landmarks.astype(np.float32).copy()
    moved[:, :2] = landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    moved[:, 2] *= zoom
    return np.asarray(crop, np.uint8), moved


class PortraitAnimator:
    """One portrait, ready to move. Holds a GL context: `close` it.

    `portrait` (h, w, 3) RGB, `landmarks` (468, 3) pixels in it; frames are `size` x `size`.
    """

    def __init__(
        self, portrait: NDArray[np.uint8], landmarks: NDArray[np.float32], rig: Rig, size: int = 256, crop: bool = True
    ) -> None:
        picture, points = crop_to_face(portrait, landmarks[:468], size) if crop else (portrait, landmarks[:468])
        self.portrait, self.landmarks = picture, points
        self._surface = PortraitSurface(points, rig)
        self._canvas = Canvas(size)
        context = self._canvas.context
        self._program: Any = context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._program["size"].value = (float(size), float(size))
        self._texture = context.texture((size, size), 3, np.ascontiguousarray(picture).tobytes(), alignment=1)
        self._texture.repeat_x = self._texture.repeat_y = False
        self._mouth = _Mouth(self._surface, picture)
        self._buffers: dict[str, tuple[Any, Any, Any]] = {}

    def render(
        self, motion: NDArray[np.floating], reference: NDArray[np.floating] | None = None
    ) -> Iterator[NDArray[np.uint8]]:
        """Frames (size, size, 3) of a motion (n, 58), NaN as 0; `reference` (58,) is the portrait's own expression."""
        base = _NEUTRAL_ROW if reference is None else np.nan_to_num(reference)
        for row in motion:
            yield self.frame(np.nan_to_num(row) - base)

    def frame(self, row: NDArray[np.floating]) -> NDArray[np.uint8]:
        """One frame of a relative motion row (58,)."""
        with self._canvas.active():
            return self._paint(row)

    def _paint(self, row: NDArray[np.floating]) -> NDArray[np.uint8]:
        skin, face = self._surface.vertices(row)
        self._canvas.begin((0.0, 0.0, 0.0))
        self._texture.use(0)
        context = self._canvas.context
        context.disable(context.DEPTH_TEST)
        for side, loop in EYE_LOOPS.items():
            self._draw_eye(side, loop, face, row)
        for name, vertices, texture, tints, triangles in self._mouth.layers(face, row):
            self._draw(name, self._surface.turn(vertices, row), texture, tints, triangles)
        context.enable(context.DEPTH_TEST)
        rest = self._surface.rest[:, :2] * [1, -1]
        self._draw("skin", skin, rest, np.zeros((len(skin), 4)), self._surface.triangles)
        return self._canvas.picture()

    def _draw_eye(self, side: str, loop: tuple[int, ...], face: NDArray[np.float64], row: NDArray[np.floating]) -> None:
        """The portrait's own eye under the lids, shifted by the gaze."""
        rim = self._surface.face[list(loop)]
        middle = rim.mean(axis=0)
        # The outer ring continues the colour of the rim: it shows when the lids open wider than in the portrait.
        wide = middle + (rim - middle) * [1.3, 2.6, 1.0]
        vertices = np.concatenate([rim, wide, middle[None]])
        texture = np.concatenate([rim, middle + (rim - middle) * 0.93, middle[None]])[:, :2] * [1, -1]
        w = {n: float(row[ARKIT_NAMES.index(f"eyeLook{n}{side}")]) for n in ("In", "Out", "Up", "Down")}
        inward = -1.0 if side == "Left" else 1.0
        gaze = np.array([inward * (w["In"] - w["Out"]), w["Up"] - w["Down"], 0.0]) * _GAZE_CM * self._surface.scale
        # The texture slides under the fixed rim: the white at the rim stays, the iris moves.
        texture[-1] -= gaze[:2] * [1, -1]
        n = len(loop)
        ring = [(i, (i + 1) % n, n + i) for i in range(n)] + [((i + 1) % n, n + (i + 1) % n, n + i) for i in range(n)]
        triangles = np.concatenate([fan(tuple(range(n)), 2 * n), np.array(ring, np.int32)])
        tints = np.zeros((len(vertices), 4))
        self._draw(f"eye{side}", self._surface.turn(vertices, row), texture, tints, triangles)

    def _draw(
        self,
        name: str,
        vertices: NDArray[np.floating],
        texture: NDArray[np.floating],
        tints: NDArray[np.floating],
        triangles: NDArray[np.int32],
    ) -> None:
        data = np.hstack([vertices, texture, tints]).astype(np.float32)
        if name not in self._buffers:
            context = self._canvas.context
            moving = context.buffer(reserve=data.nbytes)
            index = context.buffer(np.ascontiguousarray(triangles, np.int32).tobytes())
            layout = [(moving, "3f 2f 4f", "in_position", "in_texture", "in_tint")]
            self._buffers[name] = (moving, index, context.vertex_array(self._program, layout, index))
        moving, _, array = self._buffers[name]
        moving.write(data.tobytes())
        array.render()

    def close(self) -> None:
        self._canvas.close()


class _Mouth:
    """What shows between the lips: cavity, teeth, and the portrait's own mouth where it is open at rest."""

    _COLUMNS = 11

    def __init__(self, surface: PortraitSurface, picture: NDArray[np.uint8]) -> None:
        self._surface = surface
        face = surface.face
        self._rest_gap = float(face[13, 1] - face[14, 1]) / surface.scale
        self._shows_teeth = self._rest_gap > 0.35
        skin = picture[np.clip(-face[[205, 425], 1].astype(int), 0, len(picture) - 1), face[[205, 425], 0].astype(int)]
        light = float(skin.mean()) / 255
        self._teeth = np.array([0.93, 0.90, 0.85]) * (0.35 + 0.65 * min(1.0, light * 1.35))
        self._cavity = np.array([0.20, 0.06, 0.06]) * (0.4 + 0.6 * light)
        self._tongue = np.array([0.60, 0.27, 0.27]) * (0.4 + 0.6 * light)

    def layers(self, face: NDArray[np.float64], row: NDArray[np.floating]) -> list[tuple[Any, ...]]:
        """(name, vertices, texture, tints, triangles) from back to front, before the head turns."""
        surface = self._surface
        loop = list(MOUTH_LOOP)
        rim = face[loop]
        middle = rim.mean(axis=0)
        # A little larger than the hole, so that no seam shows at the lips.
        hole = np.concatenate([middle + (rim - middle) * 1.06, middle[None]])
        flat = np.zeros((len(hole), 2))
        dark = np.c_[np.tile(self._cavity, (len(hole), 1)), np.ones(len(hole))]
        dark[-1, :3] *= 0.55
        found: list[tuple[Any, ...]] = [("cavity", hole, flat, dark, fan(tuple(range(len(loop))), len(loop)))]
        drop = surface.rig_direction(self._jaw_drop(row))
        found.append(self._band("tongue", face, LOWER_LIP, drop, 0.75, self._tongue))
        found.append(self._band("lower teeth", face, LOWER_LIP, drop, 0.34, self._teeth * 0.82))
        if self._shows_teeth:
            found.append(self._own_mouth())
        else:
            found.append(self._band("upper teeth", face, UPPER_LIP, np.zeros(3), -0.42, self._teeth))
        return found

    @staticmethod
    def _jaw_drop(row: NDArray[np.floating]) -> NDArray[np.float64]:
        """Where the lower incisors go, in rig centimetres (24 degrees about the jaw's hinge at weight 1)."""
        jaw = float(np.clip(row[ARKIT_NAMES.index("jawOpen")], -0.2, 1.0))
        return np.array([0.0, -2.4 * jaw, -0.7 * jaw])

    def _own_mouth(self) -> tuple[Any, ...]:
        """The portrait's own teeth, fixed to the skull: they stay while the lower lip leaves."""
        surface = self._surface
        rim = surface.face[list(MOUTH_LOOP)]
        middle = rim.mean(axis=0)
        vertices = np.concatenate([rim, middle[None]])
        # Only the upper part: what lies low in the open mouth belongs to the lower jaw and the dark.
        tints = np.zeros((len(vertices), 4))
        n = len(MOUTH_LOOP)
        return ("own mouth", vertices, vertices[:, :2] * [1, -1], tints, fan(tuple(range(n)), n))

    def _band(
        self,
        name: str,
        face: NDArray[np.float64],
        lip: tuple[int, ...],
        offset: NDArray[np.float64],
        height_cm: float,
        colour: NDArray[np.float64],
    ) -> tuple[Any, ...]:
        """A strip behind a lip, as wide as the mouth at rest, moved by `offset` pixels."""
        surface = self._surface
        rest = surface.face[list(lip)]
        middle = rest.mean(axis=0)
        line = middle + (rest - middle) * [0.86, 0.35, 1.0]
        sign = 1.0 if height_cm > 0 else -1.0
        edge = line + offset - np.array([0, 0.22 * sign * surface.scale, 0])
        far = edge + np.array([0, (height_cm + 0.22 * sign) * surface.scale, 0])
        vertices = np.concatenate([edge, far])
        n = len(lip)
        # Teeth fall into shadow towards the corners.
        shade = 1.0 - 0.55 * np.abs(np.linspace(-1, 1, n)) ** 2
        tints = np.c_[np.concatenate([colour * shade[:, None], colour * shade[:, None] * 0.9]), np.ones(2 * n)]
        triangles = [(i, i + 1, n + i) for i in range(n - 1)] + [(i + 1, n + i + 1, n + i) for i in range(n - 1)]
        return (name, vertices, np.zeros((2 * n, 2)), tints, np.array(triangles, np.int32))
