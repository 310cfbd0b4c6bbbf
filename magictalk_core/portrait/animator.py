"""Animating a still portrait by warping its own texture over its face mesh.

The portrait is brought to rest first (`neutral.py`). A frame is drawn back to front: the background, eyeballs,
the inside of the mouth, then the skin, whose holes at lids and lips show what lies behind, with the folds that the
expression raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.mesh import LEFT_EYE, LIPS_INNER, RIGHT_EYE
from magictalk_core.portrait.eyes import Eyes
from magictalk_core.portrait.layers import Atlas, Layer
from magictalk_core.portrait.look import FIRST_LOOK, LOOK
from magictalk_core.portrait.matte import WholeHead, cut_out
from magictalk_core.portrait.mouth_interior import MouthInterior
from magictalk_core.portrait.neutral import bring_to_rest
from magictalk_core.portrait.palette import read_palette
from magictalk_core.portrait.shaders import (
    BEHIND_FRAGMENT,
    BEHIND_VERTEX,
    HOLE_FRAGMENT,
    HOLE_VERTEX,
    INSIDE_FRAGMENT,
    INSIDE_VERTEX,
    SKIN_FRAGMENT,
    SKIN_VERTEX,
)
from magictalk_core.portrait.shading import fold_maps, fold_weights
from magictalk_core.portrait.surface import PortraitSurface
from magictalk_core.rig.canvas import Canvas
from magictalk_core.rig.rig import Rig
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES, MOTION_NAMES

__all__ = ["CROP_SCALE", "PortraitAnimator", "crop_to_face"]

CROP_SCALE = 1.75
"""Side of the square crop over the height of the landmarks."""

_FOLD_RANGE = 1.0
"""Log brightness between the darkest and the lightest value of a fold's map."""

_NEUTRAL_ROW = np.zeros(len(MOTION_NAMES), np.float32)
_MOUTH = [MOTION_NAMES.index(name) for name in JAW_MOUTH_NAMES]

_HOLES = (LEFT_EYE, RIGHT_EYE, LIPS_INNER)
_HOLE_GROWS = 1.12
_CORNERS = np.array([(0, 0), (1, 0), (0, 1), (1, 1)], np.float64)
_CORNER_TRIANGLES = np.array([(0, 1, 2), (1, 3, 2)], np.int32)


def crop_to_face(
    picture: NDArray[np.uint8],
    landmarks: NDArray[np.float32],
    size: int,
    scale: float = CROP_SCALE,
    enlarged: int = cv2.INTER_LINEAR,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A square around the face at `size` pixels (edges replicated), and the landmarks in it.

    `enlarged`: OpenCV's interpolation where the picture has fewer pixels than that.
    """
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
    flags = enlarged if zoom > 1 else cv2.INTER_LINEAR
    crop = cv2.warpAffine(source, shifted, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    moved = landmarks.astype(np.float32).copy()
    moved[:, :2] = landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    moved[:, 2] *= zoom
    return np.asarray(crop, np.uint8), moved


class PortraitAnimator:
    """One portrait, ready to move. Holds a GL context: `close` it.

    `portrait` (h, w, 3) RGB, `landmarks` (468, 3) pixels in it; frames are `size` x `size` of the face, or without
    `crop` as large as the portrait. Without `head` the face moves and what is around it gives way.
    """

    def __init__(
        self,
        portrait: NDArray[np.uint8],
        landmarks: NDArray[np.float32],
        rig: Rig,
        size: int = 256,
        crop: bool = True,
        head: WholeHead | None = None,
    ) -> None:
        person = None if head is None else head.person
        given, points = portrait, landmarks[:468]
        if crop:
            sharp = cv2.INTER_LINEAR if head is None else cv2.INTER_LANCZOS4
            given, points = crop_to_face(portrait, points, size, enlarged=sharp)
        if crop and person is not None:
            person = crop_to_face(person, landmarks[:468], size)[0]
        resting = bring_to_rest(given, points)
        self.portrait, self.landmarks = resting.picture, resting.landmarks
        self._mouth_share = resting.mouth_share
        self._look = look = FIRST_LOOK if head is None else LOOK
        self._own = resting.own if look.rests_eyes else np.zeros_like(_NEUTRAL_ROW)
        self._surface = PortraitSurface(resting.landmarks, rig, look, head is not None, person is not None)
        height, width = given.shape[:2]
        self._canvas = Canvas(width, height)
        atlas = Atlas(_atlas_side(max(width, height)))
        palette = read_palette(resting.picture, resting.landmarks, resting.teeth)
        self._mouth = MouthInterior(self._surface, palette, atlas, look)
        self._eyes = Eyes(self._surface, resting.picture, atlas)
        self._buffers: dict[str, tuple[Any, Any]] = {}
        skin, self._behind = np.dstack([self.portrait, np.full((height, width), 255, np.uint8)]), None
        if person is not None:
            sheets = cut_out(self.portrait, person, self.landmarks)
            skin, self._behind = sheets.person, sheets.behind
        with self._canvas.active():
            self._open_programs(skin, atlas)

    def _open_programs(self, skin: NDArray[np.uint8], atlas: Atlas) -> None:
        context, square = self._canvas.context, (self._canvas.size, self._canvas.height)
        self._skin: Any = context.program(vertex_shader=SKIN_VERTEX, fragment_shader=SKIN_FRAGMENT)
        self._inside: Any = context.program(vertex_shader=INSIDE_VERTEX, fragment_shader=INSIDE_FRAGMENT)
        for program in (self._skin, self._inside):
            program["size"].value = (float(square[0]), float(square[1]))
        self._inside["side"].value = float(len(atlas.pixels))
        self._inside["in_holes"].value = self._behind is not None
        self._inside["multiplied"].value = self._look.clean_edges
        for unit, name in enumerate(("portrait", "folds", "more_folds")):
            self._skin[name].value = unit
        self._inside["atlas"].value = 3
        maps = fold_maps(self._surface, *square)
        # In eight bits around 128: Mesa draws those faster than floats.
        self._skin["range"].value = _FOLD_RANGE
        folds = np.clip(np.round(maps / _FOLD_RANGE * 255 + 128), 0, 255).astype(np.uint8)
        clean = self._look.clean_edges
        self._textures = [
            context.texture(square, 4, np.ascontiguousarray(skin).tobytes()),
            context.texture(square, 4, np.ascontiguousarray(folds[..., :4]).tobytes()),
            context.texture(square, 4, np.ascontiguousarray(folds[..., 4:]).tobytes()),
            context.texture(
                (len(atlas.pixels),) * 2, 4, atlas.multiplied().tobytes() if clean else atlas.pixels.tobytes()
            ),
        ]
        if clean:
            self._textures[3].build_mipmaps(max_level=1)
            self._textures[3].filter = context.LINEAR_MIPMAP_LINEAR, context.LINEAR
        if self._behind is not None:
            self._plate: Any = context.program(vertex_shader=BEHIND_VERTEX, fragment_shader=BEHIND_FRAGMENT)
            self._plate["behind"].value = len(self._textures)
            self._hole: Any = context.program(vertex_shader=HOLE_VERTEX, fragment_shader=HOLE_FRAGMENT)
            self._hole["size"].value = (float(square[0]), float(square[1]))
            self._textures.append(context.texture(square, 3, self._behind.tobytes(), alignment=1))
        for texture in self._textures:
            texture.repeat_x = texture.repeat_y = False

    def render(
        self,
        motion: NDArray[np.floating],
        reference: NDArray[np.floating] | None = None,
        breath_cm: NDArray[np.floating] | None = None,
    ) -> Iterator[NDArray[np.uint8]]:
        """Frames (h, w, 3) of a motion (n, 58), NaN as 0; `breath_cm` (n,) raises the chest.

        `reference` (58,) is the expression that the picture, as given, shows in the values of whatever made the motion:
        what of it was not taken off the picture is taken off the motion.
        """
        base = _NEUTRAL_ROW.copy() if reference is None else np.nan_to_num(reference)
        base[_MOUTH] *= 1 - self._mouth_share
        # What is taken off every frame is not taken off twice.
        base = np.where(self._own > 0, np.maximum(base - self._own, 0), base)
        for index, row in enumerate(motion):
            yield self.frame(np.nan_to_num(row) - base, 0.0 if breath_cm is None else float(breath_cm[index]))

    def frame(self, row: NDArray[np.floating], breath_cm: float = 0.0) -> NDArray[np.uint8]:
        """One frame of a relative motion row (58,)."""
        with self._canvas.active():
            return self._paint(row, breath_cm)

    def _paint(self, row: NDArray[np.floating], breath_cm: float) -> NDArray[np.uint8]:
        surface, context = self._surface, self._canvas.context
        row = row - self._own
        turning = surface.turning(row)
        skin, face = surface.vertices(row, turning, breath_cm)
        self._canvas.begin((0.0, 0.0, 0.0))
        for unit, texture in enumerate(self._textures):
            texture.use(unit)
        context.disable(context.DEPTH_TEST)
        if self._behind is not None:
            self._draw("behind", self._plate, "2f", ("in_corner",), _CORNERS, _CORNER_TRIANGLES)
            self._mark_holes(surface.in_head(face, turning, breath_cm))
        context.enable(context.BLEND)
        multiplied = context.ONE if self._look.clean_edges else context.SRC_ALPHA
        context.blend_func = multiplied, context.ONE_MINUS_SRC_ALPHA
        for layer in (*self._eyes.layers(face, row), *self._mouth.layers(face, row)):
            self._draw_inside(layer, turning, breath_cm)
        # The person's colours are multiplied by their opacity already.
        context.blend_func = context.ONE, context.ONE_MINUS_SRC_ALPHA
        if self._behind is None:
            context.disable(context.BLEND)
        self._canvas.write(depth=True)
        context.depth_func = "<"
        context.enable(context.DEPTH_TEST)
        weights = fold_weights(row)
        self._skin["weights"].value, self._skin["more_weights"].value = tuple(weights[:4]), tuple(weights[4:])
        data = np.hstack([skin, surface.rest[:, :2] * [1, -1]])
        self._draw("skin", self._skin, "3f 2f", ("in_position", "in_texture"), data, surface.triangles)
        return self._canvas.picture()

    def _mark_holes(self, face: NDArray[np.float64]) -> None:
        """Let what is in the head be seen through its openings alone: no skin hides it where the background is."""
        context = self._canvas.context
        context.enable(context.DEPTH_TEST)
        context.depth_func = "<"
        self._canvas.write(colour=False, depth=True)
        for number, loop in enumerate(_HOLES):
            rim = face[list(loop)]
            middle, n = rim.mean(axis=0), len(loop)
            fan = np.concatenate([middle + (rim - middle) * _HOLE_GROWS, middle[None]])
            triangles = np.array([(i, (i + 1) % n, n) for i in range(n)], np.int32)
            self._draw(f"hole {number}", self._hole, "3f", ("in_position",), fan, triangles)
        # Only what lies behind a mark passes, and leaves it.
        context.depth_func = ">"
        self._canvas.write(depth=False)

    def _draw_inside(self, layer: Layer, turning: NDArray[np.float64], breath_cm: float) -> None:
        vertices = self._surface.in_head(layer.vertices, turning, breath_cm)
        data = np.hstack([vertices, layer.texture, layer.shade])
        names = ("in_position", "in_texture", "in_shade")
        self._draw(layer.name, self._inside, "3f 2f 4f", names, data, layer.triangles)

    def _draw(
        self,
        name: str,
        program: Any,
        layout: str,
        inputs: tuple[str, ...],
        data: NDArray[np.floating],
        triangles: NDArray[np.int32],
    ) -> None:
        packed = np.ascontiguousarray(data, np.float32)
        if name not in self._buffers:
            context = self._canvas.context
            moving = context.buffer(reserve=packed.nbytes)
            index = context.buffer(np.ascontiguousarray(triangles, np.int32).tobytes())
            self._buffers[name] = (moving, context.vertex_array(program, [(moving, layout, *inputs)], index))
        moving, array = self._buffers[name]
        moving.write(packed.tobytes())
        array.render()

    def close(self) -> None:
        self._canvas.close()


def _atlas_side(size: int) -> int:
    """Room for teeth and eyes of a face as large as the frame."""
    return 512 if size <= 256 else 1024
