"""A portrait that smiles with its teeth showing, brought to rest: lips closed, corners of the mouth down and in.

Relative motion can only add to what a portrait shows: without this step every speaker would smile through every
emotion.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from magictalk_core.faces.mesh import (
    FACE_OVAL,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    RIGHT_BROW,
    RIGHT_EYE,
    TRIANGLES,
)
from magictalk_core.faces.solver import face_frame, neutral_face

__all__ = ["relax_mouth", "warp_mesh"]

_FIXED = (*LEFT_EYE, *RIGHT_EYE, *LEFT_BROW, *RIGHT_BROW, *FACE_OVAL, 1, 2, 4, 5, 6, 168, 195, 97, 326, 98, 327)
"""Eyes, brows, outline and nose stay; the cheeks between them and the mouth follow smoothly."""
_WIDEN = 1.12
"""The neutral face's mouth is narrower than this portrait's would be."""


def relax_mouth(
    picture: NDArray[np.uint8], landmarks: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The picture (n, n, 3) with the neutral face's mouth, and its landmarks (468, 3)."""
    frame = face_frame(landmarks)
    neutral = (neutral_face() @ frame.rotation.T * frame.scale + frame.centre) * [1, -1, -1]
    lips = sorted({*LIPS_INNER, *LIPS_OUTER})
    target = neutral[lips]
    centre = target.mean(axis=0)
    target = centre + (target - centre) * [_WIDEN, 1.0, 1.0]
    fixed = sorted(set(_FIXED))
    controls = landmarks[lips + fixed].astype(np.float64)
    shifts = np.concatenate([target - landmarks[lips], np.zeros((len(fixed), 3))])
    # Two landmarks may share a place in the plane where depth tells them apart: interpolate in all three dimensions.
    field = RBFInterpolator(controls, shifts, kernel="linear", smoothing=0.0)
    moved = (landmarks + field(landmarks.astype(np.float64))).astype(np.float32)
    shaped = warp_mesh(picture, landmarks[:, :2], moved[:, :2], TRIANGLES)
    # What is left of the open mouth is the line between the lips.
    line = np.round(moved[list(LIPS_INNER), :2] * 16).astype(np.int32)
    cv2.fillPoly(shaped, [line], (88, 40, 38), lineType=cv2.LINE_AA, shift=4)
    return shaped, moved


def warp_mesh(
    picture: NDArray[np.uint8],
    source: NDArray[np.floating],
    target: NDArray[np.floating],
    triangles: NDArray[np.int32],
) -> NDArray[np.uint8]:
    """Draw the mesh at `target` (n, 2) with the texture that lies at `source` (n, 2); elsewhere the picture stays."""
    height, width = picture.shape[:2]
    map_y, map_x = np.mgrid[0:height, 0:width].astype(np.float32)
    for corners in triangles[np.abs(target - source)[triangles].max(axis=(1, 2)) > 0.02]:
        to, of = target[corners].astype(np.float64), source[corners].astype(np.float64)
        low = np.clip(np.floor(to.min(axis=0)), 0, [width, height]).astype(int)
        high = np.clip(np.ceil(to.max(axis=0)) + 1, 0, [width, height]).astype(int)
        matrix = np.concatenate([to, np.ones((3, 1))], axis=1).T
        if (high <= low).any() or abs(np.linalg.det(matrix)) < 1e-9:
            continue
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]]
        places = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
        weights = np.linalg.solve(matrix, places)
        # A hair beyond the edge, so that no pixel between two triangles is left out.
        inside = (weights > -1e-6).all(axis=0)
        found = weights[:, inside].T @ of
        px, py = x.ravel()[inside], y.ravel()[inside]
        map_x[py, px], map_y[py, px] = found[:, 0], found[:, 1]
    return np.asarray(cv2.remap(picture, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)
