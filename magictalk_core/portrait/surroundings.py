"""What lies around the face mesh, as rings of its outline: hair, ears, neck, shoulders, and the picture beyond.

Two ways. `mask_rings` follow the face less and less, and stretch whatever the picture shows there: the sample corpus
and the picture scores are drawn with them. `head_rings` are a head: hair, ears and neck turn with the face as one, at
the depth that a head has there, and shoulders stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.mesh import FACE_OVAL, LANDMARKS
from magictalk_core.faces.solver import FaceFrame

__all__ = ["Surroundings", "head_rings", "mask_rings", "moving_area"]

Points = NDArray[np.float64]

_RINGS = (1.12, 1.3, 1.6, 2.2, 4.0)
"""Rings around the face, as multiples of the oval's distance from the face's centre; the last reaches past the edge."""
_FOLLOW_POSE = (0.92, 0.75, 0.45, 0.12, 0.0)
"""How much of the head's rotation each ring follows: hair and ears mostly, shoulders a little, the background not."""
_FOLLOW_SHAPE = (0.55, 0.2, 0.05, 0.0, 0.0)

_HEAD_RINGS = (1.05, 1.12, 1.2, 1.3, 1.42, 1.56, 1.75, 2.0, 2.3, 2.7, 3.2, 8.0)
_SHAPE_FADES = 0.42
"""Growth over which the skin around the face ceases to follow its shapes."""
_STILL = 2.7
_STILL_BEYOND = {True: (1.75, _STILL), False: (1.1, _STILL)}
"""Growth up to which everything turns with the face, and from which nothing does; by whether the person is cut out of
the background, which else is stretched."""
_NECK = (-0.03, 0.85)
"""Heights of the face below the chin between which the body ceases to follow the head."""
_DEPTH_REACHED = 1.75
_BEHIND_EARS_CM = 1.0
"""Hair is seen in profile against the background at about the depth of the ears."""
_CHEST = ((0.1, 0.6), (0.9, 1.5))
"""Heights of the face below the chin between which breath begins to be seen and is seen whole, and between which it
ceases again."""
_BREATH_ABOVE = 0.4
"""How much of the shoulders' rise the head shares."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """`points` (m, 3) at rest, pixels of the portrait, y up, numbered after the landmarks; `of` (m,): the landmark
    whose shape each follows by `shape` (m,); `pose` (m,): how much of the head's turn each follows; `breath` (m,), and
    `breath_face` of the face itself: how much of the chest's rise. `triangles` join them to the face's outline."""

    points: Points
    of: NDArray[np.int64]
    shape: Points
    pose: Points
    breath: Points
    breath_face: float
    triangles: NDArray[np.int32]


def mask_rings(face: Points) -> Surroundings:
    """Around a face (468, 3)."""
    oval = face[list(FACE_OVAL)]
    centre, depth = face[[10, 152, 234, 454]].mean(axis=0), oval[:, 2].min()
    rings = []
    for grow in _RINGS:
        ring = centre + (oval - centre) * grow
        # Depth settles on one plane, so that the background does not swing with the head.
        ring[:, 2] = depth + (oval[:, 2] - depth) / grow**2
        rings.append(ring)
    points, n = np.concatenate(rings), len(FACE_OVAL)
    of = np.tile(np.array(FACE_OVAL), len(_RINGS))
    shares = np.repeat(_FOLLOW_SHAPE, n), np.repeat(_FOLLOW_POSE, n)
    return Surroundings(points, of, *shares, np.zeros(len(points)), 0.0, _triangles(len(_RINGS)))


def head_rings(face: Points, frame: FaceFrame, cut_out: bool) -> Surroundings:
    """Around a face (468, 3) whose pose is `frame`; `cut_out`: the person has an edge of its own."""
    oval = face[list(FACE_OVAL)]
    centre = face[[10, 152, 234, 454]].mean(axis=0)
    rotation = frame.rotation.astype(np.float64)
    ears = float((((oval - frame.centre) @ rotation)[:, 2]).min()) - _BEHIND_EARS_CM * frame.scale
    rings = []
    for grow in _HEAD_RINGS:
        ring = centre + (oval - centre) * grow
        back = _at_depth(ring, frame, ears)
        ring[:, 2] = oval[:, 2] + (back - oval[:, 2]) * _ramp(np.array(grow), 1.0, _DEPTH_REACHED)
        rings.append(ring)
    points, n = np.concatenate(rings), len(FACE_OVAL)
    grown = np.repeat(_HEAD_RINGS, n)
    below = (face[152, 1] - points[:, 1]) / float(np.ptp(oval[:, 1]))
    pose = (1 - _ramp(grown, *_STILL_BEYOND[cut_out])) * (1 - _ramp(below, *_NECK))
    shape = np.clip(1 - (grown - 1) / _SHAPE_FADES, 0, 1) ** 1.5
    begins, ceases = _CHEST
    chest = _BREATH_ABOVE + (1 - _BREATH_ABOVE) * _ramp(below, *begins)
    breath = chest * (1 - _ramp(below, *ceases)) * (1 - _ramp(grown, 1.8, _STILL))
    of = np.tile(np.array(FACE_OVAL), len(_HEAD_RINGS))
    return Surroundings(points, of, shape, pose, breath, _BREATH_ABOVE, _triangles(len(_HEAD_RINGS)))


def moving_area(landmarks: NDArray[np.floating], width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Left upper corner of what `head_rings` may move, and the corner beyond it, in a picture of that size."""
    points = landmarks[:, :2].astype(np.float64)
    centre = points[[10, 152, 234, 454]].mean(axis=0)
    ring = centre + (points[list(FACE_OVAL)] - centre) * _STILL
    low = np.clip(np.floor(ring.min(axis=0)), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(ring.max(axis=0)) + 1, low + 1, [width, height]).astype(int)
    return (int(low[0]), int(low[1])), (int(high[0]), int(high[1]))


def _at_depth(points: Points, frame: FaceFrame, depth: float) -> Points:
    """(m,) z of points whose x and y are given, in the plane of the head at that depth behind its face, pixels."""
    rotation = frame.rotation.astype(np.float64)
    away = points[:, :2] - frame.centre[:2]
    # A head in profile would put its far side at no depth at all.
    facing = max(float(rotation[2, 2]), 0.6)
    z = frame.centre[2] + (depth - away @ rotation[:2, 2]) / facing
    reach = abs(depth) * 1.5
    return np.asarray(np.clip(z, frame.centre[2] + depth - reach, frame.centre[2] + depth + reach))


def _ramp(values: Points, low: float, high: float) -> Points:
    """0 up to `low`, 1 from `high`, smooth between."""
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(share * share * (3 - 2 * share))


def _triangles(rings: int) -> NDArray[np.int32]:
    n = len(FACE_OVAL)
    rows = [np.array(FACE_OVAL)] + [LANDMARKS + k * n + np.arange(n) for k in range(rings)]
    triangles = []
    for inner, outer in pairwise(rows):
        for i in range(n):
            j = (i + 1) % n
            triangles += [(inner[i], outer[i], inner[j]), (inner[j], outer[i], outer[j])]
    return np.array(triangles, np.int32)
