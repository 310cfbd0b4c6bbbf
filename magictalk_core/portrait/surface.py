"""The animated surface of a portrait: its face mesh, rings around it to the edge of the picture, eyes and mouth.

Everything is in pixels of the portrait with y up and z towards the viewer, so that the orthographic picture of the
surface at rest is the portrait itself. Motion is the rig's, carried over by the similarity that fits the rig's neutral
face to the portrait's landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from magictalk_core.faces.head_pose import rotation_of
from magictalk_core.faces.mesh import FACE_OVAL, LANDMARKS, LEFT_EYE, LIPS_INNER, RIGHT_EYE, TRIANGLES
from magictalk_core.faces.solver import face_frame
from magictalk_core.rig.rig import Rig
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES

__all__ = ["PortraitSurface", "fan"]

Points = NDArray[np.float64]

_RINGS = (1.12, 1.3, 1.6, 2.2, 4.0)
"""Rings around the face, as multiples of the oval's distance from the face's centre; the last reaches past the edge."""
_FOLLOW_POSE = (0.92, 0.75, 0.45, 0.12, 0.0)
"""How much of the head's rotation each ring follows: hair and ears mostly, shoulders a little, the background not."""
_FOLLOW_SHAPE = (0.55, 0.2, 0.05, 0.0, 0.0)
_PIVOT_CM = np.array([0.0, -6.0, -6.0])

_UPPER_LIDS = {"Left": (466, 388, 387, 386, 385, 384, 398), "Right": (246, 161, 160, 159, 158, 157, 173)}
_LOWER_LIDS = {"Left": (249, 390, 373, 374, 380, 381, 382), "Right": (7, 163, 144, 145, 153, 154, 155)}
_UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_MIN_LIP_GAP = 0.0


def fan(loop: tuple[int, ...], centre: int) -> NDArray[np.int32]:
    """Triangles from a loop of vertices to one in its middle."""
    return np.array([(loop[i], loop[(i + 1) % len(loop)], centre) for i in range(len(loop))], np.int32)


@dataclass(frozen=True, eq=False)
class _Fit:
    """The portrait's face in the rig's frame."""

    rotation: Points
    scale: float
    centre: Points


class PortraitSurface:
    """Vertices of the skin (face, then rings) for any motion row. `landmarks` (468, 3) pixels, y down."""

    def __init__(self, landmarks: NDArray[np.float32], rig: Rig) -> None:
        frame = face_frame(landmarks)
        self._fit = _Fit(frame.rotation.astype(float), frame.scale, frame.centre.astype(float))
        self._own_turn = Rotation.from_matrix(frame.rotation).as_matrix()
        self._deltas = rig.deltas[:, :LANDMARKS].astype(np.float64)
        self.face = landmarks[:LANDMARKS].astype(np.float64) * [1, -1, -1]
        self._openings = self._lid_openings(self.face)
        rig_face = rig.neutral[:LANDMARKS].astype(np.float64)
        self._rig_openings = self._lid_openings(rig_face * self._fit.scale)
        self.rest = np.concatenate([self.face, *self._rings(self.face)])
        self.triangles = np.concatenate([TRIANGLES, self._ring_triangles()])

    # --- topology ----------------------------------------------------------------------------------------------

    def _rings(self, face: Points) -> list[Points]:
        oval = face[list(FACE_OVAL)]
        centre = face[[10, 152, 234, 454]].mean(axis=0)
        depth = oval[:, 2].min()
        rings = []
        for grow in _RINGS:
            ring = centre + (oval - centre) * grow
            # Depth settles on one plane, so that the background does not swing with the head.
            ring[:, 2] = depth + (oval[:, 2] - depth) / grow**2
            rings.append(ring)
        return rings

    def _ring_triangles(self) -> NDArray[np.int32]:
        n = len(FACE_OVAL)
        rows = [np.array(FACE_OVAL)] + [LANDMARKS + k * n + np.arange(n) for k in range(len(_RINGS))]
        triangles = []
        for inner, outer in pairwise(rows):
            for i in range(n):
                j = (i + 1) % n
                triangles += [(inner[i], outer[i], inner[j]), (inner[j], outer[i], outer[j])]
        return np.array(triangles, np.int32)

    # --- motion ------------------------------------------------------------------------------------------------

    def shape(self, coefficients: NDArray[np.floating]) -> Points:
        """The face (468, 3) for relative coefficients (52,), which may be negative; head pose apart."""
        weights = coefficients.astype(np.float64)
        moved = np.flatnonzero(weights)
        offset = np.tensordot(weights[moved], self._deltas[moved], axes=1) @ self._fit.rotation.T * self._fit.scale
        face = self.face + offset
        self._close_lids(face, weights)
        _part_lips(face)
        return face

    @staticmethod
    def _lid_openings(face: Points) -> dict[str, Points]:
        return {side: face[list(_UPPER_LIDS[side])] - face[list(_LOWER_LIDS[side])] for side in ("Left", "Right")}

    def _close_lids(self, face: Points, weights: Points) -> None:
        """A blink of 1 closes this eye, whatever its size; an opening never turns inside out."""
        for side in ("Left", "Right"):
            blink = float(np.clip(weights[ARKIT_NAMES.index(f"eyeBlink{side}")], -0.3, 1.0))
            up, low = list(_UPPER_LIDS[side]), list(_LOWER_LIDS[side])
            wrong = (
                np.linalg.norm(self._openings[side], axis=1) - np.linalg.norm(self._rig_openings[side], axis=1)
            ) * blink
            direction = self._openings[side] / np.maximum(
                np.linalg.norm(self._openings[side], axis=1, keepdims=True), 1e-6
            )
            face[up] -= direction * wrong[:, None]
            gap = ((face[up] - face[low]) * direction).sum(axis=1)
            face[up] -= direction * np.minimum(gap, 0)[:, None]

    def vertices(self, row: NDArray[np.floating]) -> tuple[Points, Points]:
        """All skin vertices for a relative motion row (58,), and the face before the head turned."""
        face = self.shape(row[: len(ARKIT_NAMES)])
        change = face - self.face
        n = len(FACE_OVAL)
        rings = self.rest[LANDMARKS:].copy()
        for k, follow in enumerate(_FOLLOW_SHAPE):
            rings[k * n : (k + 1) * n] += change[list(FACE_OVAL)] * follow
        pose = np.concatenate([np.ones(LANDMARKS), np.repeat(_FOLLOW_POSE, n)])
        return self.turn(np.concatenate([face, rings]), row, pose), face

    def turn(self, vertices: Points, row: NDArray[np.floating], share: Points | float = 1.0) -> Points:
        """Rotate about the neck by the row's head angles, in the portrait's own frame; `share` per vertex."""
        pitch, yaw, roll = (float(row[MOTION_NAMES.index(f"head_{a}_deg")]) for a in ("pitch", "yaw", "roll"))
        fit = self._fit
        own = self._own_turn
        turned = own @ rotation_of(pitch, yaw, roll) @ own.T
        pivot = fit.centre + fit.scale * fit.rotation @ _PIVOT_CM
        return np.asarray(vertices + ((vertices - pivot) @ turned.T + pivot - vertices) * np.reshape(share, (-1, 1)))

    def rig_direction(self, offset_cm: Points) -> Points:
        """A displacement (.., 3) of the rig in pixels of the portrait."""
        return np.asarray(offset_cm @ self._fit.rotation.T * self._fit.scale)

    @property
    def scale(self) -> float:
        """Pixels per centimetre."""
        return self._fit.scale


def _part_lips(face: Points) -> None:
    """Lips that relative motion would push through each other meet in the middle instead."""
    up, low = list(_UPPER_LIP[1:-1]), list(_LOWER_LIP[1:-1])
    gap = face[up, 1] - face[low, 1]
    cross = np.minimum(gap - _MIN_LIP_GAP, 0)
    face[up, 1] -= cross / 2
    face[low, 1] += cross / 2


EYE_LOOPS = {"Left": LEFT_EYE, "Right": RIGHT_EYE}
MOUTH_LOOP = LIPS_INNER
UPPER_LIP = _UPPER_LIP
LOWER_LIP = _LOWER_LIP
