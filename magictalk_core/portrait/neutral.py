"""A portrait brought to rest before it is moved: a smile taken off, an open mouth closed.

Motion is added to what a picture shows. Without this step a smiling person would smile through every emotion, and
teeth that are part of the texture would stand between closed lips. How much a mouth is at rest is read from its shape
in the frame of the neutral face; a face at rest stays as it is, pixel for pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from magictalk_core.faces.mesh import (
    FACE_OVAL,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    RIGHT_BROW,
    RIGHT_EYE,
    TRIANGLES,
)
from magictalk_core.faces.solver import FaceFrame, face_frame, neutral_face
from magictalk_core.portrait.lip_points import (
    INNER_LOWER,
    INNER_UPPER,
    LIP_RINGS,
    LOWER_LIP_ROWS,
    UPPER_LIP_ROWS,
    meet,
)
from magictalk_core.portrait.mesh_warp import warp_mesh
from magictalk_core.portrait.shading import without_smile_folds
from magictalk_core.vocabulary.arkit import MOTION_NAMES

__all__ = ["NeutralPortrait", "bring_to_rest"]

Points = NDArray[np.float64]

_FIXED = (*LEFT_EYE, *RIGHT_EYE, *LEFT_BROW, *RIGHT_BROW, *FACE_OVAL, 1, 2, 4, 5, 6, 168, 195, 97, 326, 98, 327)
"""Eyes, brows, outline and nose stay; the cheeks between them and the mouth follow smoothly."""
_OPEN_CM = (0.17, 0.32)
"""Gap between the lips, from closed to open."""
_LIFT_CM = (0.12, 0.45)
"""Height of the corners over the middle of the mouth beyond the neutral face's: from rest to a smile."""
_SMILE_WIDENS = 0.22
_OWN_LIPS = 0.5
"""Thickness of lips at rest: how much is the picture's own, the rest is the neutral face's."""
_INTO_THE_LIP = 0.5
"""How far the edge of an open lip is moved towards the next row of landmarks."""
_SOFT_PX = 1.5
_SNAP_CM = 0.16
_EYES = {"Left": (386, 374, 263, 362), "Right": (159, 145, 33, 133)}
"""Upper lid, lower lid, outer and inner corner."""
_REST_OPENING, _LAUGHING_OPENING = 0.32, 0.2
"""Height of an eye over its width: the neutral face's, and that of a man who laughs."""
_OF_A_LAUGH = {"eyeSquint": 0.7, "cheekSquint": 0.5, "browDown": 0.15}
_CREASE_CM = 0.07


@dataclass(frozen=True, eq=False)
class NeutralPortrait:
    """`picture` (h, w, 3) and `landmarks` (468, 3) at rest, the edges of the lips on each other.

    `mouth_share`: how much of the mouth's own expression was taken off, 0 to 1. `teeth`: the colour (3,) 0..255 of the
    teeth that the picture showed, or None. `own` (58,): what the picture still shows, in values of motion: a laugh of
    the eyes, which motion takes off where lids are redrawn.
    """

    picture: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    mouth_share: float
    teeth: NDArray[np.float64] | None
    own: NDArray[np.float32]


def bring_to_rest(picture: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NeutralPortrait:
    """The portrait (h, w, 3) with landmarks (468, 3), in pixels, of its person at rest."""
    frame = face_frame(landmarks)
    gap, lift = _gap(frame.points), _lift(frame.points)
    is_open = gap > _OPEN_CM[0]
    share = max(_ramp(gap, *_OPEN_CM), _ramp(lift, *_LIFT_CM))
    seam = meet(landmarks) if is_open else _on_the_crease(picture, landmarks, frame.scale)
    if share == 0.0:
        return NeutralPortrait(picture, seam.astype(np.float32), 0.0, None, _laugh(frame.points, 0.0))
    teeth = _teeth_colour(picture, landmarks) if is_open else None
    of = _without_teeth(landmarks.astype(np.float64)) if is_open else seam.astype(np.float64)
    resting = _in_picture(_resting_lips(frame, gap, lift), frame)
    shifts = np.zeros_like(of)
    lips, fixed = list(LIP_RINGS), sorted(set(_FIXED))
    shifts[lips] = share * (meet(resting)[lips] - of[lips])
    if is_open:
        # Half a smile may stay, half an open mouth may not.
        shifts = meet(of + shifts) - of
    # Two landmarks may share a place in the plane where depth tells them apart: interpolate in all three dimensions.
    known = lips + fixed
    places = landmarks[known].astype(np.float64)
    moved = of + RBFInterpolator(places, shifts[known], kernel="linear")(landmarks.astype(np.float64))
    moved[known] = of[known] + shifts[known]
    shaped = warp_mesh(picture, of[:, :2], moved[:, :2], TRIANGLES)
    smile = _ramp(lift, *_LIFT_CM)
    if smile > 0:
        shaped = without_smile_folds(shaped, moved, frame.scale, smile)
    if is_open:
        _draw_crease(shaped, moved, frame.scale)
    return NeutralPortrait(shaped, moved.astype(np.float32), share, teeth, _laugh(frame.points, smile))


def _without_teeth(landmarks: Points) -> Points:
    """Landmarks whose edges of the lips lie safely on the lips: a pixel of teeth would become a light strip."""
    inside = landmarks.copy()
    for rows in (UPPER_LIP_ROWS, LOWER_LIP_ROWS):
        edge, next_row = list(rows[-1]), list(rows[-2])
        inside[edge] += _step_into(landmarks[next_row] - landmarks[edge])
    corners = [78, 308]
    inside[corners] += _step_into(landmarks[[62, 292]] - landmarks[corners])
    return inside


def _step_into(way: Points) -> Points:
    """Half of the way to the next row, but where that is less than the softness of pixels."""
    length = np.maximum(np.linalg.norm(way[:, :2], axis=1, keepdims=True), 1e-6)
    return np.asarray(way * np.clip(_SOFT_PX / length, _INTO_THE_LIP, 0.9))


def _ramp(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


def _gap(points: NDArray[np.floating]) -> float:
    """Between the lips in cm, beyond the neutral face's, at its widest."""
    own, rest = (p[list(INNER_UPPER), 1] - p[list(INNER_LOWER), 1] for p in (points, neutral_face()))
    return float((own - rest).max())


def _lift(points: NDArray[np.floating]) -> float:
    """Of the corners over the line between the lips, in cm, beyond the neutral face's."""

    def corners(p: NDArray[np.floating]) -> float:
        return float(p[[61, 291], 1].mean() - p[[13, 14], 1].mean())

    return corners(points) - corners(neutral_face())


def _laugh(points: NDArray[np.floating], smile: float) -> NDArray[np.float32]:
    """(58,) how far the eyes laugh with a smile, 0 to 1: lids that are nearer to each other than at rest.

    Without a smile narrow eyes are the person's own.
    """
    row = np.zeros(len(MOTION_NAMES), np.float32)
    for side, (upper, lower, outer, inner) in _EYES.items():
        width = np.linalg.norm(points[outer, :2] - points[inner, :2])
        opening = float((points[upper, 1] - points[lower, 1]) / max(float(width), 1e-6))
        laugh = smile * _ramp(-opening, -_REST_OPENING, -_LAUGHING_OPENING)
        for name, share in _OF_A_LAUGH.items():
            row[MOTION_NAMES.index(f"{name}{side}")] = share * laugh
    return row


def _in_picture(points: Points, frame: FaceFrame) -> Points:
    """From centimetres of the face to pixels, y down."""
    placed: Points = (points @ frame.rotation.T.astype(np.float64) * frame.scale + frame.centre) * [1, -1, -1]
    return placed


def _resting_lips(frame: FaceFrame, gap: float, lift: float) -> Points:
    """The face (468, 3) in cm with the mouth that its person has at rest; only the lips of it count.

    Shape of the neutral face's mouth; width, height between nose and chin, and half of the thickness of the lips are
    the person's own.
    """
    own, rest = frame.points.astype(np.float64), neutral_face().astype(np.float64)
    smile = _ramp(lift, *_LIFT_CM)
    width = float(np.ptp(own[[61, 291], 0])) / (1 + _SMILE_WIDENS * smile)
    widen = width / float(np.ptp(rest[[61, 291], 0]))
    # An open jaw has taken the chin down with it.
    chin = own[152, 1] + 0.8 * max(gap, 0.0)
    middle = float(rest[[13, 14], 1].mean())
    along = (rest[2, 1] - middle) / (rest[2, 1] - rest[152, 1])
    line = own[2, 1] + along * (chin - own[2, 1])
    result = rest.copy()
    centre = rest[[13, 14]].mean(axis=0)
    result[:, 0] = own[[61, 291], 0].mean() + (rest[:, 0] - centre[0]) * widen
    result[:, 1] = line + (rest[:, 1] - centre[1])
    for rows in (UPPER_LIP_ROWS, LOWER_LIP_ROWS):
        outer, inner = list(rows[0]), list(rows[-1])
        thick = abs(float((own[outer, 1] - own[inner, 1])[3:6].mean()))
        usual = abs(float((rest[outer, 1] - rest[inner, 1])[3:6].mean()))
        grow = (_OWN_LIPS * thick + (1 - _OWN_LIPS) * usual) / usual
        for row in rows:
            result[list(row), 1] = line + (rest[list(row), 1] - centre[1]) * grow
    result[:, 2] = rest[:, 2] + float(own[list(LIP_RINGS), 2].mean() - rest[list(LIP_RINGS), 2].mean())
    return result


def _on_the_crease(picture: NDArray[np.uint8], landmarks: NDArray[np.float32], scale: float) -> NDArray[np.floating]:
    """Landmarks whose lips meet where the picture is darkest: landmarks alone miss the crease by a pixel or two."""
    closed = meet(landmarks.astype(np.float64))
    up, low = list(INNER_UPPER), list(INNER_LOWER)
    along = closed[308, :2] - closed[78, :2]
    across = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6)
    grey = cv2.GaussianBlur(
        cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), max(0.6, scale * 0.03)
    )
    reach = np.linspace(-1, 1, 21) * _SNAP_CM * scale
    places = (closed[up, None, :2] + reach[None, :, None] * across).astype(np.float32)
    values = cv2.remap(grey, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # Where no crease is to be seen the landmark keeps its place.
    cost = values + 12.0 * (np.linspace(-1, 1, 21) ** 2)[None]
    found = reach[cost.argmin(axis=1)]
    smooth = np.convolve(np.concatenate([[0.0, 0.0], found, [0.0, 0.0]]), np.array([1, 3, 4, 3, 1]) / 12, "valid")
    closed[up, :2] += smooth[:, None] * across
    closed[low] = closed[up]
    return closed


def _teeth_colour(picture: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Of the brighter half of what lies between the lips, where that is brighter than the lips."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(landmarks[list(LIPS_INNER), :2]).astype(np.int32)], 1)
    inside = picture[mask > 0].astype(np.float64)
    if len(inside) < 8:
        return None
    light = inside.mean(axis=1)
    bright = inside[light >= np.percentile(light, 60)]
    lips = cv2.remap(
        picture, landmarks[list(LIP_RINGS), 0], landmarks[list(LIP_RINGS), 1], cv2.INTER_LINEAR, borderMode=1
    )
    found = np.asarray(np.median(bright, axis=0), np.float64)
    return found if found.mean() > 1.15 * np.median(lips.reshape(-1, 3).mean(axis=1)) else None


def _draw_crease(picture: NDArray[np.uint8], points: Points, scale: float) -> None:
    """The dark line between closed lips, in the colour of the lips' shadow, thinner towards the corners."""
    line = points[[78, *INNER_UPPER, 308], :2]
    dense = np.stack([np.interp(np.linspace(0, 10, 120), np.arange(11), line[:, k]) for k in (0, 1)], axis=1)
    mask = np.zeros(picture.shape[:2], np.float32)
    cv2.polylines(mask, [np.round(dense * 16).astype(np.int32)], False, 1.0, 1, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.6, _CREASE_CM * scale / 2))
    soft = np.clip(soft / max(float(soft.max()), 1e-6) * 1.1, 0, 1)[..., None] * 0.8
    rows = [*UPPER_LIP_ROWS[2], *LOWER_LIP_ROWS[2]]
    places = points[rows, :2].astype(np.float32)
    lips = cv2.remap(picture, places[:, 0], places[:, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    dark = np.median(lips.reshape(-1, 3), axis=0) * 0.42
    picture[:] = np.clip(picture * (1 - soft) + dark * soft, 0, 255).astype(np.uint8)
