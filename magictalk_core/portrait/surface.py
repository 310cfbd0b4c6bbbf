"""The animated surface of a portrait: its face mesh, rings around it to the edge of the picture, eyes and mouth.

Everything is in pixels of the portrait with y up and z towards the viewer, so that the orthographic picture of the
surface at rest is the portrait itself. Motion is the rig's, carried over by the similarity that fits the rig's neutral
face to the portrait's landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from magictalk_core.faces.head_pose import rotation_of
from magictalk_core.faces.mesh import LANDMARKS, TRIANGLES
from magictalk_core.faces.solver import face_frame
from magictalk_core.portrait.lids import Lids
from magictalk_core.portrait.lip_points import INNER_LOWER, INNER_UPPER, LOWER_LIP_ROWS
from magictalk_core.portrait.look import FIRST_LOOK, Look
from magictalk_core.portrait.openings import RoundOpenings
from magictalk_core.portrait.surroundings import head_rings, mask_rings
from magictalk_core.rig.rig import Rig
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES

__all__ = ["PortraitSurface"]

Points = NDArray[np.float64]

_PIVOT_CM = np.array([0.0, -6.0, -6.0])

_LIP_PROFILE = (0.82, 0.93, 0.98, 1.0, 1.0, 1.0, 0.98, 0.93, 0.82)
"""How far the lower lip goes down from corner to corner: an open mouth is round there."""
_ANGLES = [MOTION_NAMES.index(f"head_{axis}_deg") for axis in ("pitch", "yaw", "roll")]
_PRESSED = (0.2, 0.36)
"""Weight of mouthPress from where on lips close, and at which they are sealed."""
_CLOSE, _JAW = ARKIT_NAMES.index("mouthClose"), ARKIT_NAMES.index("jawOpen")
_PRESS = [ARKIT_NAMES.index(f"mouthPress{side}") for side in ("Left", "Right")]
_SMILE = [ARKIT_NAMES.index(f"mouthSmile{side}") for side in ("Left", "Right")]
_SMILE_LIFTS, _OPEN_JAW = 0.45, 0.15
_PART = [ARKIT_NAMES.index(f"mouth{what}{side}") for what in ("LowerDown", "UpperUp") for side in ("Left", "Right")]


@dataclass(frozen=True, eq=False)
class _Fit:
    """The portrait's face in the rig's frame."""

    rotation: Points
    scale: float
    centre: Points


class PortraitSurface:
    """Vertices of the skin (face, then rings) for any motion row. `landmarks` (468, 3) pixels, y down.

    `head`: what is around the face turns with it as a head does, and `cut_out`: before a background that does not.
    """

    def __init__(
        self,
        landmarks: NDArray[np.float32],
        rig: Rig,
        look: Look = FIRST_LOOK,
        head: bool = False,
        cut_out: bool = False,
    ) -> None:
        frame = face_frame(landmarks)
        self._fit = _Fit(frame.rotation.astype(float), frame.scale, frame.centre.astype(float))
        self._own_turn = Rotation.from_matrix(frame.rotation).as_matrix()
        self._deltas = rig.deltas[:, :LANDMARKS].astype(np.float64)
        self._deltas *= _emphasis(look)[:, None, None]
        for lip in LOWER_LIP_ROWS:
            self._deltas[np.ix_([_JAW, *_PART[:2]], lip)] *= np.array(_LIP_PROFILE)[:, None]
        self.face = landmarks[:LANDMARKS].astype(np.float64) * [1, -1, -1]
        rig_face = rig.neutral[:LANDMARKS].astype(np.float64)
        self._lids = Lids(self.face, rig_face * self._fit.scale)
        self.rig_mouth = rig_face[[13, 14]].mean(axis=0)
        self.rig_mouth_width = float(np.ptp(rig_face[[61, 291], 0]))
        self.around = head_rings(self.face, frame, cut_out) if head else mask_rings(self.face)
        triangles = np.concatenate([TRIANGLES, self.around.triangles])
        self._round = RoundOpenings(triangles, LANDMARKS + len(self.around.points))
        self.rest = np.concatenate([self.face, self.around.points, self._round.points(self.face)])
        self.triangles = self._round.triangles
        edges = np.ones(len(self.rest) - LANDMARKS - len(self.around.points))
        self._share = np.concatenate([np.ones(LANDMARKS), self.around.pose, edges])
        in_face = self.around.breath_face
        self._breath = np.concatenate([np.full(LANDMARKS, in_face), self.around.breath, edges * in_face])
        self._pivot = self._fit.centre + self._fit.scale * self._fit.rotation @ _PIVOT_CM

    # --- motion ------------------------------------------------------------------------------------------------

    def shape(self, coefficients: NDArray[np.floating]) -> Points:
        """The face (468, 3) for relative coefficients (52,), which may be negative; head pose apart."""
        weights, seal = _coupled(np.array(coefficients, np.float64))
        moved = np.flatnonzero(weights)
        offset = np.tensordot(weights[moved], self._deltas[moved], axes=1) @ self._fit.rotation.T * self._fit.scale
        face = self.face + offset
        self._lids.settle(face, weights)
        _part_lips(face, seal)
        return face

    def vertices(self, row: NDArray[np.floating], turning: Points, breath_cm: float = 0.0) -> tuple[Points, Points]:
        """All skin vertices for a relative motion row (58,), its `turning` and a chest that is raised by `breath_cm`,
        and the face before the head turned."""
        face = self.shape(row[: len(ARKIT_NAMES)])
        change, around = face - self.face, self.around
        rings = around.points + change[around.of] * around.shape[:, None]
        edges = self._round.points(face)
        moved = self._turned(np.concatenate([face, rings, edges]), turning, self._share)
        if breath_cm:
            moved[:, 1] += self._breath * (breath_cm * self.scale)
        return moved, face

    def turning(self, row: NDArray[np.floating]) -> Points:
        """(3, 3) rotation of the row's head angles, in the portrait's own frame."""
        pitch, yaw, roll = (float(row[i]) for i in _ANGLES)
        return np.asarray(self._own_turn @ rotation_of(pitch, yaw, roll) @ self._own_turn.T)

    def in_head(self, vertices: Points, turning: Points, breath_cm: float = 0.0) -> Points:
        """Where what is fixed in the head goes with its turn and the breath."""
        moved = self._turned(vertices, turning, 1.0)
        moved[:, 1] += self.around.breath_face * breath_cm * self.scale
        return moved

    def _turned(self, vertices: Points, turning: Points, share: Points | float) -> Points:
        """Rotate about the neck by what `turning` gives; `share` per vertex."""
        arm = vertices - self._pivot
        return np.asarray(vertices + (arm @ turning.T - arm) * np.reshape(share, (-1, 1)))

    def rig_direction(self, offset_cm: Points) -> Points:
        """A displacement (.., 3) of the rig in pixels of the portrait."""
        return np.asarray(offset_cm @ self._fit.rotation.T * self._fit.scale)

    def to_rig(self, offset: Points) -> Points:
        """A displacement (.., 3) in pixels of the portrait, in centimetres of the rig."""
        return np.asarray(offset @ self._fit.rotation / self._fit.scale)

    @property
    def scale(self) -> float:
        """Pixels per centimetre."""
        return self._fit.scale


def _emphasis(look: Look) -> Points:
    """(52,) factor of each shape."""
    stems = [name.removesuffix("Left").removesuffix("Right") for name in ARKIT_NAMES]
    return np.array([look.stronger.get(stem, 1.0) for stem in stems])


def _coupled(weights: Points) -> tuple[Points, float]:
    """The weights with what shapes do to each other, and how far the lips are sealed, 0 to 1.

    Pressed lips touch, however far the jaw is down behind them, as at m, b and p.
    """
    press = float(weights[_PRESS].mean())
    share = float(np.clip((press - _PRESSED[0]) / (_PRESSED[1] - _PRESSED[0]), 0.0, 1.0))
    seal = share * share * (3 - 2 * share)
    if seal > 0:
        weights[_CLOSE] = max(weights[_CLOSE], seal * weights[_JAW])
        weights[_PART] *= 1 - seal
    # A smile over an open jaw uncovers the upper teeth.
    opened = float(np.clip(weights[_JAW] / _OPEN_JAW, 0.0, 1.0)) * (1 - seal)
    weights[_PART[2:]] += _SMILE_LIFTS * opened * np.clip(weights[_SMILE], 0.0, 1.0)
    return weights, seal


def _part_lips(face: Points, seal: float) -> None:
    """Sealed lips meet; lips that relative motion would push through each other meet in the middle instead."""
    up, low = list(INNER_UPPER), list(INNER_LOWER)
    face[up] -= (gap := face[up] - face[low]) * 0.4 * seal
    face[low] += gap * 0.6 * seal
    cross = np.minimum(face[up, 1] - face[low, 1], 0)
    face[up, 1] -= cross / 2
    face[low, 1] += cross / 2
