"""The 52 ARKit shapes on the 468-point face mesh, authored as handles and solved over the mesh.

A shape names a few vertices and where they go (centimetres). The rest follows by a bi-Laplacian solve over the mesh
with everything beyond a radius held still: smooth, without tearing, and across the mesh only, so the lower lip never
drags the upper one. Left shapes are authored; right ones are their mirror image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from magictalk_core.faces.head_pose import rotation_of
from magictalk_core.faces.mesh import LANDMARKS, LEFT_EYE, TRIANGLES
from magictalk_core.faces.solver import neutral_face
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, mirror_name

__all__ = [
    "EYE_RADIUS",
    "JAW_DEGREES",
    "JAW_HINGE",
    "LOWER_LID",
    "LOWER_LID_SKIN",
    "UPPER_LID",
    "UPPER_LID_SKIN",
    "eye_centre",
    "face_deltas",
    "jaw_weight",
    "mirror_indices",
]

Vector = tuple[float, float, float]
Points = NDArray[np.float64]

JAW_HINGE = np.array([0.0, -0.2, -5.0])
JAW_DEGREES = 24.0

UPPER_LID = (466, 388, 387, 386, 385, 384, 398)
LOWER_LID = (249, 390, 373, 374, 380, 381, 382)
"""The subject's left eye, from the outer to the inner corner, in pairs."""
UPPER_LID_SKIN = ((467, 260, 259, 257, 258, 286, 414), (342, 445, 444, 443, 442, 441, 413))
LOWER_LID_SKIN = ((255, 339, 254, 253, 252, 256, 341),)
"""The rows of skin beyond the rims of the left lids, in the same order, from the rim outwards."""
LID_SHARES = (1.0, 0.8, 0.3)
"""How much of a lid's way its rim and the rows beyond it go: the lashes keep their thickness, the fold gives way."""

EYE_RADIUS = 1.22

UPPER_LIP_LEFT = (0, 267, 269, 270, 409, 11, 302, 303, 304, 408, 12, 268, 271, 272, 407, 13, 312, 311, 310, 415)
LOWER_LIP_LEFT = (17, 314, 405, 321, 375, 16, 315, 404, 320, 307, 15, 316, 403, 319, 325, 14, 317, 402, 318, 324)
CORNER_LEFT = (291, 306, 292, 308)
_MIDLINE = {0, 11, 12, 13, 14, 15, 16, 17}


@cache
def mirror_indices() -> NDArray[np.int32]:
    """(468,) the landmark that mirrors each landmark."""
    with resources.files("magictalk_core.faces").joinpath("neutral_face.npz").open("rb") as file:
        mirror: NDArray[np.int32] = np.load(file)["mirror"]
    return mirror


@cache
def _laplacian() -> sparse.csr_matrix:
    """Uniform graph Laplacian of the face mesh."""
    pairs = np.concatenate([TRIANGLES[:, [0, 1]], TRIANGLES[:, [1, 2]], TRIANGLES[:, [2, 0]]])
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    weights = sparse.coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(LANDMARKS, LANDMARKS)).tocsr()
    weights.data[:] = 1.0
    degree = np.asarray(weights.sum(axis=1)).ravel()
    return sparse.diags(1 / degree) @ (sparse.diags(degree) - weights)


def spread(handles: Mapping[int, Vector], radius: float) -> Points:
    """Displacements (468, 3) that take the handles where they should be and fade out within `radius` cm of them."""
    neutral = neutral_face().astype(np.float64)
    index = list(handles)
    distance = np.linalg.norm(neutral[:, None] - neutral[index][None], axis=-1).min(axis=1)
    fixed = distance > radius
    fixed[index] = True
    values = np.zeros((LANDMARKS, 3))
    values[index] = np.array([handles[i] for i in index])
    bending = (_laplacian().T @ _laplacian()).tocsr()
    free = ~fixed
    right = -bending[free][:, fixed] @ values[fixed]
    if free.any():
        values[free] = spsolve(bending[free][:, free].tocsc(), right)
    return values


def jaw_weight() -> NDArray[np.float64]:
    """(468,) how much each vertex belongs to the lower jaw: a clean cut between the lips, a soft one in the cheeks."""
    neutral = neutral_face().astype(np.float64)
    x, y = np.abs(neutral[:, 0]), neutral[:, 1]
    corner = float(neutral[291, 0])
    mouth_line = float((neutral[13, 1] + neutral[14, 1]) / 2)
    below = mouth_line - y
    softness = 0.02 + 0.75 * np.clip(x - corner, 0, None)
    weight = np.clip(below / (2 * softness) + 0.5, 0, 1)
    weight = weight * weight * (3 - 2 * weight)
    # Lip vertices are told by name: the two lips touch, and the line between them is not straight.
    mirror = mirror_indices()
    for side in (np.arange(LANDMARKS), mirror):
        weight[side[list(UPPER_LIP_LEFT)]] = 0.0
        weight[side[list(LOWER_LIP_LEFT)]] = 1.0
        weight[side[list(CORNER_LEFT)]] = 0.42
        # Towards the corner the lips lag behind the middle of the jaw.
        for index, value in (
            (409, 0.12),
            (408, 0.14),
            (407, 0.16),
            (415, 0.18),
            (375, 0.78),
            (307, 0.75),
            (325, 0.72),
            (324, 0.7),
        ):
            weight[side[index]] = value
    return np.asarray(weight)


def _jaw_open() -> Points:
    neutral = neutral_face().astype(np.float64)
    turned = (neutral - JAW_HINGE) @ rotation_of(JAW_DEGREES, 0, 0).T + JAW_HINGE
    return np.asarray((turned - neutral) * jaw_weight()[:, None])


def _jaw_shift(offset: Vector) -> Points:
    return np.asarray(jaw_weight()[:, None] * np.array(offset))


def _move(indices: tuple[int, ...], vector: Vector) -> dict[int, Vector]:
    return dict.fromkeys(indices, vector)


def eye_centre() -> Points:
    """(3,) cm: middle of the subject's left eyeball, so that its front lies just behind the lids."""
    rim = neutral_face().astype(np.float64)[list(LEFT_EYE)]
    middle = rim.mean(axis=0)
    return np.array([middle[0], middle[1], rim[:, 2].max() - EYE_RADIUS - 0.12])


def _before_the_eye(place: Points, margin: float) -> float:
    """The depth at which a lid at (x, y) lies on the eyeball."""
    offset = place[:2] - eye_centre()[:2]
    return float(eye_centre()[2] + np.sqrt(max(0.0, (EYE_RADIUS + margin) ** 2 - float(offset @ offset))))


def _lids(close: float, lower_share: float) -> dict[int, Vector]:
    """Upper and lower lid towards each other: `close` 1 makes them meet. Lids slide over the eyeball."""
    neutral = neutral_face().astype(np.float64)
    handles: dict[int, Vector] = {}
    uppers, lowers = (UPPER_LID, *UPPER_LID_SKIN), (LOWER_LID, *LOWER_LID_SKIN)
    for column, (up, low) in enumerate(zip(UPPER_LID, LOWER_LID, strict=True)):
        gap = (neutral[low] - neutral[up]) * close
        for rows, way in ((uppers, gap * (1 - lower_share)), (lowers, -gap * lower_share)):
            for row, share in zip(rows, LID_SHARES, strict=False):
                vertex = row[column]
                moved = neutral[vertex] + way * share
                forward = max(0.0, _before_the_eye(moved, 0.1) - moved[2]) if row in (UPPER_LID, LOWER_LID) else 0.0
                handles[vertex] = (float(way[0] * share), float(way[1] * share), float(way[2] * share + forward))
    return handles


def _resting_eyes(upper: float) -> dict[int, Vector]:
    """Lids that hold still while the skin around them moves; the upper rim goes `upper` cm along."""
    skin = _move(UPPER_LID_SKIN[0], (0, upper * 2, 0))
    return {**_move(LOWER_LID, (0, 0, 0)), **_move((263, 362), (0, 0, 0)), **_move(UPPER_LID, (0, upper, 0)), **skin}


def _both(handles: Mapping[int, Vector]) -> dict[int, Vector]:
    """The handles and their mirror image."""
    mirror = mirror_indices()
    return {**{int(mirror[i]): (-x, y, z) for i, (x, y, z) in handles.items()}, **handles}


def _lips(upper: Vector, lower: Vector, corner: Vector) -> dict[int, Vector]:
    """Both halves of both lips; handles between middle and corner go part of the way of each."""
    neutral = neutral_face()
    handles: dict[int, Vector] = {}
    for lip, vector in ((UPPER_LIP_LEFT, upper), (LOWER_LIP_LEFT, lower)):
        for i in lip:
            place = float(np.clip(neutral[i, 0] / neutral[291, 0], 0, 1))
            share = place**2
            y, z = ((1 - share) * vector[k] + share * corner[k] for k in (1, 2))
            handles[i] = (corner[0] * place, y, z)
    return handles | _move(CORNER_LEFT, corner)


def _lip_left(lip: tuple[int, ...], vector: Vector) -> dict[int, Vector]:
    """The left half of one lip, strongest between middle and corner, weak on the midline."""
    neutral = neutral_face()
    handles: dict[int, Vector] = {}
    for i in lip:
        place = float(np.clip(neutral[i, 0] / neutral[291, 0], 0, 1))
        share = 0.45 if i in _MIDLINE else 1.0 - max(0.0, place - 0.6) * 1.6
        handles[i] = (vector[0] * share, vector[1] * share, vector[2] * share)
    return handles


_BROW_INNER, _BROW_MIDDLE, _BROW_OUTER = (285, 336, 295, 296), (282, 334, 293), (283, 300, 276)


def _symmetric_shapes() -> dict[str, Callable[[], Points]]:
    closed = _jaw_open()
    lower_lift: dict[int, Vector] = {}
    for i in LOWER_LIP_LEFT:
        x, y, z = (float(v) for v in -0.93 * closed[i])
        lower_lift[i] = (x, y, z)
    return {
        "jawOpen": _jaw_open,
        "jawForward": lambda: _jaw_shift((0, -0.05, 0.7)),
        "jawLeft": lambda: _jaw_shift((0.75, 0, 0)),
        "mouthClose": lambda: spread(_both({**_move(UPPER_LIP_LEFT[:4], (0, -0.06, 0)), **lower_lift}), 2.6),
        "mouthFunnel": lambda: spread(_both(_lips((0, 0.34, 0.55), (0, -0.4, 0.5), (-0.62, 0, 0.3))), 2.2),
        "mouthPucker": lambda: spread(_both(_lips((0, 0.02, 0.75), (0, 0.0, 0.7), (-0.95, 0, 0.45))), 2.4),
        "mouthRollLower": lambda: spread(_both(_roll(LOWER_LIP_LEFT, 0.22)), 1.6),
        "mouthRollUpper": lambda: spread(_both(_roll(UPPER_LIP_LEFT, -0.22)), 1.6),
        "mouthShrugLower": lambda: spread(
            _both({**_move(LOWER_LIP_LEFT, (0, 0.3, 0.18)), **_move((18, 200, 199), (0, 0.28, 0.1))}), 2.0
        ),
        "mouthShrugUpper": lambda: spread(_both(_move(UPPER_LIP_LEFT[:18], (0, 0.26, 0.16))), 1.8),
        "mouthLeft": lambda: spread(
            {i: (0.75, y * 0, 0.0) for i, (_, y, _z) in _both(_lips((0, 0, 0), (0, 0, 0), (0, 0, 0))).items()}, 2.6
        ),
        "browInnerUp": lambda: spread(
            _both(
                {
                    **_move(_BROW_INNER, (0, 0.62, 0.05)),
                    9: (0, 0.3, 0),
                    **_move((282, 334), (0, 0.3, 0)),
                    **_resting_eyes(0.05),
                }
            ),
            2.6,
        ),
        "cheekPuff": lambda: spread(
            _both({**_move((425, 427, 411, 436), (0.6, 0, 0.75)), **_move((291,), (0.05, 0, 0.15))}), 3.2
        ),
        # The lips make room for the tongue.
        "tongueOut": lambda: spread(_both(_lips((0, 0.12, 0.08), (0, -0.34, 0.1), (0, 0, 0))), 1.6),
    }


def _roll(lip: tuple[int, ...], up: float) -> dict[int, Vector]:
    """The outer rim goes over and in, the inner rim only in."""
    return {i: (0.0, up * (1.0 - n // 5 * 0.28), -0.36) for n, i in enumerate(lip)}


def _left_shapes() -> dict[str, Callable[[], Points]]:
    cheek = (280, 352, 346, 347, 330)
    return {
        "eyeBlinkLeft": lambda: spread(_lids(1.0, 0.12), 1.25),
        "eyeWideLeft": lambda: spread(
            {**_move(UPPER_LID[1:-1], (0, 0.24, -0.05)), **_move(LOWER_LID[1:-1], (0, -0.08, 0))}, 1.2
        ),
        "eyeSquintLeft": lambda: spread(
            {**_move(LOWER_LID[1:-1], (0, 0.24, 0.03)), **_move(UPPER_LID[1:-1], (0, -0.1, 0.02))}, 1.3
        ),
        "eyeLookDownLeft": lambda: spread(_move(UPPER_LID[1:-1], (0, -0.26, 0.05)), 1.1),
        "eyeLookUpLeft": lambda: spread(
            {**_move(UPPER_LID[1:-1], (0, 0.14, 0)), **_move(LOWER_LID[1:-1], (0, 0.08, 0))}, 1.1
        ),
        "eyeLookInLeft": lambda: spread(_move(UPPER_LID[1:-1], (-0.05, 0, 0)), 1.0),
        "eyeLookOutLeft": lambda: spread(_move(UPPER_LID[1:-1], (0.05, 0, 0)), 1.0),
        "browDownLeft": lambda: spread(
            {
                **_move(_BROW_INNER, (-0.16, -0.5, 0.1)),
                **_move(_BROW_MIDDLE, (-0.08, -0.42, 0.08)),
                **_move(_BROW_OUTER, (0, -0.2, 0)),
                **_resting_eyes(-0.07),
            },
            2.2,
        ),
        "browOuterUpLeft": lambda: spread(
            {**_move(_BROW_OUTER, (0, 0.5, 0)), **_move(_BROW_MIDDLE, (0, 0.5, 0.02)), **_resting_eyes(0.05)}, 2.2
        ),
        "cheekSquintLeft": lambda: spread(
            {**_move(cheek, (0, 0.42, 0.22)), **_move(LOWER_LID[1:-1], (0, 0.12, 0.02))}, 2.0
        ),
        "noseSneerLeft": lambda: spread(
            {**_move((358, 331, 279, 429, 420, 360), (0.06, 0.38, 0.08)), **_move((269, 270, 267), (0, 0.2, 0.02))}, 1.8
        ),
        "mouthSmileLeft": lambda: spread(
            {
                **_move(CORNER_LEFT, (0.62, 0.62, -0.35)),
                **_move((409, 375), (0.4, 0.42, -0.18)),
                13: (0, 0.03, -0.06),
                14: (0, 0.03, -0.06),
                425: (0.1, 0.26, 0.12),
            },
            2.8,
        ),
        "mouthFrownLeft": lambda: spread(
            {**_move(CORNER_LEFT, (0.08, -0.6, -0.05)), **_move((409, 375), (0.04, -0.4, 0))}, 2.2
        ),
        "mouthDimpleLeft": lambda: spread(_move(CORNER_LEFT, (0.42, 0.06, -0.35)), 2.2),
        "mouthStretchLeft": lambda: spread(
            {**_move(CORNER_LEFT, (0.62, -0.24, -0.3)), **_move((321, 375), (0.25, -0.18, -0.1))}, 2.8
        ),
        "mouthPressLeft": lambda: spread(
            {
                **_lip_left(UPPER_LIP_LEFT[:15], (0.05, -0.1, -0.1)),
                **_lip_left(LOWER_LIP_LEFT[:15], (0.05, 0.14, -0.1)),
            },
            1.5,
        ),
        "mouthLowerDownLeft": lambda: spread(
            {**_lip_left(LOWER_LIP_LEFT, (0.05, -0.5, 0.03)), **_move(CORNER_LEFT, (0.05, -0.05, 0))}, 1.8
        ),
        "mouthUpperUpLeft": lambda: spread(
            {**_lip_left(UPPER_LIP_LEFT, (0.03, 0.42, 0.05)), **_move(CORNER_LEFT, (0.05, 0.05, 0))}, 1.8
        ),
    }


def face_deltas() -> NDArray[np.float64]:
    """(52, 468, 3) displacements in ARKIT_NAMES order."""
    mirror = mirror_indices()
    found = {name: make() for name, make in (_symmetric_shapes() | _left_shapes()).items()}
    for name in list(found):
        if mirror_name(name) == name:
            # The mesh is not the same on both sides everywhere; the shape is.
            found[name] = (found[name] + found[name][mirror] * [-1, 1, 1]) / 2
        if name.endswith("Left"):
            found[mirror_name(name)] = found[name][mirror] * [-1, 1, 1]
    return np.stack([found[name] for name in ARKIT_NAMES])
