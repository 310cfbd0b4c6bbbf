"""Rendering a rig: fixed frontal camera, soft light from the upper left and the front, plain background."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from magictalk_core.rig.canvas import Canvas
from magictalk_core.rig.rig import Rig

__all__ = ["RigRenderer", "project"]

BACKGROUND = (0.90, 0.91, 0.93)
CAMERA_DISTANCE_CM = 62.0
FRAME_HEIGHT_CM = 23.5
"""Height of the picture in the plane of the face: the head fills the share of the frame that a portrait crop has."""
CENTRE_Y_CM = 0.6

_VERTEX = """
#version 330
uniform mat4 camera;
in vec3 in_position; in vec3 in_normal; in vec3 in_colour; in float in_gloss;
out vec3 normal; out vec3 colour; out vec3 place; out float gloss;
void main() {
  normal = in_normal; colour = in_colour; place = in_position; gloss = in_gloss;
  gl_Position = camera * vec4(in_position, 1.0);
}
"""
_FRAGMENT = """
#version 330
uniform vec3 eye;
in vec3 normal; in vec3 colour; in vec3 place; in float gloss;
out vec4 result;
void main() {
  vec3 n = normalize(normal);
  vec3 v = normalize(eye - place);
  if (dot(n, v) < 0.0) n = -n;
  vec3 key = normalize(vec3(-0.45, 0.6, 0.8)), fill = normalize(vec3(0.7, 0.1, 0.6));
  float light = 0.34 + 0.62 * max(dot(n, key), 0.0) + 0.2 * max(dot(n, fill), 0.0);
  float shine = pow(max(dot(n, normalize(key + v)), 0.0), 40.0) * gloss * 0.5;
  result = vec4(colour * light + shine, 1.0);
}
"""


def camera_matrix() -> NDArray[np.float32]:
    """(4, 4) projection of centimetres to clip space, y up."""
    near, far = 20.0, 120.0
    focal = CAMERA_DISTANCE_CM / (FRAME_HEIGHT_CM / 2)
    projection = np.array(
        [
            [focal, 0, 0, 0],
            [0, focal, 0, 0],
            [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
            [0, 0, -1, 0],
        ]
    )
    view = np.eye(4)
    view[:3, 3] = [0, -CENTRE_Y_CM, -CAMERA_DISTANCE_CM]
    return np.asarray(projection @ view, np.float32)


def project(vertices: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    """(v, 3) centimetres to (v, 2) pixels of a picture of `size`, as the renderer puts them."""
    clip = np.c_[vertices, np.ones(len(vertices))] @ camera_matrix().T.astype(np.float64)
    ndc = clip[:, :2] / clip[:, 3:]
    return np.asarray((ndc * [1, -1] + 1) / 2 * size)


class RigRenderer:
    """Draws a rig's motion. Holds a GL context: `close` it."""

    def __init__(self, rig: Rig, size: int = 256) -> None:
        self._rig = rig
        self._canvas = Canvas(size)
        context = self._canvas.context
        self._program = context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._program["camera"].write(np.ascontiguousarray(camera_matrix().T).tobytes())
        self._program["eye"].value = (0.0, CENTRE_Y_CM, CAMERA_DISTANCE_CM)
        vertices = len(rig.neutral)
        self._moving = context.buffer(reserve=vertices * 6 * 4)
        fixed = np.c_[rig.colours, rig.gloss].astype(np.float32)
        self._array = context.vertex_array(
            self._program,
            [
                (self._moving, "3f 3f", "in_position", "in_normal"),
                (context.buffer(fixed.tobytes()), "3f 1f", "in_colour", "in_gloss"),
            ],
            context.buffer(rig.triangles.astype(np.int32).tobytes()),
        )
        rows = rig.triangles.T.ravel()
        columns = np.tile(np.arange(len(rig.triangles)), 3)
        self._gather = sparse.csr_matrix(
            (np.ones(len(rows), np.float32), (rows, columns)), (vertices, len(rig.triangles))
        )

    def _normals(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        a, b, c = (vertices[self._rig.triangles[:, i]] for i in range(3))
        normals = self._gather @ np.cross(b - a, c - a)
        return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9), np.float32)

    def frame(self, motion_row: NDArray[np.floating]) -> NDArray[np.uint8]:
        """One picture (size, size, 3) of a motion row (58,) in MOTION_NAMES order."""
        vertices = self._rig.pose(motion_row)
        with self._canvas.active():
            self._moving.write(np.hstack([vertices, self._normals(vertices)]).astype(np.float32).tobytes())
            self._canvas.begin(BACKGROUND)
            self._array.render()
            return self._canvas.picture()

    def render(self, motion: NDArray[np.floating]) -> Iterator[NDArray[np.uint8]]:
        """Pictures of a motion (n, 58)."""
        for row in motion:
            yield self.frame(row)

    def close(self) -> None:
        self._canvas.close()
