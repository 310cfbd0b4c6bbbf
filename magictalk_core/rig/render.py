"""Rendering a rig: fixed frontal camera, soft light from the upper left and the front, plain background."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from magictalk_core.faces.head_pose import rotation_of
from magictalk_core.rig.canvas import Canvas
from magictalk_core.rig.rig import PIVOT, Rig
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES

__all__ = ["RigRenderer", "project"]

BACKGROUND = (0.90, 0.91, 0.93)
CAMERA_DISTANCE_CM = 62.0
FRAME_HEIGHT_CM = 23.5
"""Height of the picture in the plane of the face: the head fills the share of the frame that a portrait crop has."""
CENTRE_Y_CM = 0.6
_ANGLES = [MOTION_NAMES.index(f"head_{axis}_deg") for axis in ("pitch", "yaw", "roll")]

_VERTEX = """
#version 330
uniform mat4 camera; uniform mat3 turn; uniform vec3 pivot;
in vec3 in_position; in vec3 in_normal; in vec3 in_colour; in float in_gloss;
out vec3 normal; out vec3 colour; out float gloss;
void main() {
  normal = turn * normalize(in_normal + vec3(0.0, 0.0, 1e-12)); colour = in_colour; gloss = in_gloss * 0.5;
  gl_Position = camera * vec4(turn * (in_position - pivot) + pivot, 1.0);
}
"""
_FRAGMENT = """
#version 330
uniform vec3 key; uniform vec3 fill; uniform vec3 glint;
in vec3 normal; in vec3 colour; in float gloss;
out vec4 result;
void main() {
  vec3 n = normalize(normal);
  if (n.z < 0.0) n = -n;
  float light = 0.34 + 0.62 * max(dot(n, key), 0.0) + 0.2 * max(dot(n, fill), 0.0);
  float shine = max(dot(n, glint), 0.0);
  shine *= shine; shine *= shine; shine *= shine; shine *= shine; shine *= shine;
  result = vec4(colour * light + shine * gloss, 1.0);
}
"""
_KEY, _FILL, _TO_THE_CAMERA = (-0.45, 0.6, 0.8), (0.7, 0.1, 0.6), (0.0, 0.0, 1.0)
"""Where light comes from. The camera is far off, so that one direction to it serves all of the head."""


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


class _Surface:
    """What of a rig is drawn: the vertices that its triangles use, shaped without allocation of whole shapes."""

    def __init__(self, rig: Rig) -> None:
        used, corners = np.unique(rig.triangles, return_inverse=True)
        self.used = used
        self.triangles = corners.reshape(-1, 3).astype(np.int32)
        self._neutral = rig.neutral[used].ravel()
        self._shapes = np.ascontiguousarray(rig.deltas[:, used].reshape(len(ARKIT_NAMES), -1))
        self._corners = [np.ascontiguousarray(self.triangles[:, i]) for i in range(3)]
        places = np.tile(np.arange(len(self.triangles)), 3)
        self._gather = sparse.csr_matrix(
            (np.ones(len(places), np.float32), (self.triangles.T.ravel(), places)), (len(used), len(self.triangles))
        )

    def shaped(self, coefficients: NDArray[np.floating]) -> NDArray[np.float32]:
        """(v, 6) places and normals, of any length, for (52,) coefficients; NaN rests. The head does not turn."""
        weights = np.nan_to_num(coefficients).astype(np.float32)
        places = (weights @ self._shapes + self._neutral).reshape(-1, 3)
        x, y, z = (np.ascontiguousarray(places[:, i]) for i in range(3))
        a, b, c = self._corners
        ux, uy, uz = x[b] - x[a], y[b] - y[a], z[b] - z[a]
        vx, vy, vz = x[c] - x[a], y[c] - y[a], z[c] - z[a]
        across = np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], axis=1)
        return np.concatenate([places, self._gather @ across], axis=1)


class RigRenderer:
    """Draws a rig's motion. Holds a GL context: `close` it."""

    def __init__(self, rig: Rig, size: int = 256) -> None:
        self._surface = _Surface(rig)
        self._canvas = Canvas(size, oversampled=True)
        context = self._canvas.context
        self._program = context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
        self._program["camera"].write(np.ascontiguousarray(camera_matrix().T).tobytes())
        self._program["pivot"].value = tuple(PIVOT)
        halfway = _unit(np.array(_unit(_KEY)) + np.array(_TO_THE_CAMERA))
        for name, direction in (("key", _unit(_KEY)), ("fill", _unit(_FILL)), ("glint", halfway)):
            self._program[name].value = direction
        used = self._surface.used
        self._moving = context.buffer(reserve=len(used) * 6 * 4)
        fixed = np.c_[rig.colours[used], rig.gloss[used]].astype(np.float32)
        self._array = context.vertex_array(
            self._program,
            [
                (self._moving, "3f 3f", "in_position", "in_normal"),
                (context.buffer(fixed.tobytes()), "3f 1f", "in_colour", "in_gloss"),
            ],
            context.buffer(self._surface.triangles.tobytes()),
        )

    def frame(self, motion_row: NDArray[np.floating]) -> NDArray[np.uint8]:
        """One picture (size, size, 3) of a motion row (58,) in MOTION_NAMES order."""
        row = np.nan_to_num(motion_row)
        shaped = self._surface.shaped(row[: len(ARKIT_NAMES)])
        turn = rotation_of(*(float(row[i]) for i in _ANGLES))
        with self._canvas.active():
            self._moving.write(shaped.tobytes())
            # Columns first, as GL counts.
            self._program["turn"].write(np.ascontiguousarray(turn.T, np.float32).tobytes())
            self._canvas.begin(BACKGROUND)
            self._array.render()
            return self._canvas.picture()

    def render(self, motion: NDArray[np.floating]) -> Iterator[NDArray[np.uint8]]:
        """Pictures of a motion (n, 58)."""
        for row in motion:
            yield self.frame(row)

    def close(self) -> None:
        self._canvas.close()


def _unit(vector: Sequence[float] | NDArray[np.floating]) -> tuple[float, ...]:
    return tuple(float(value) for value in np.asarray(vector) / np.linalg.norm(vector))
