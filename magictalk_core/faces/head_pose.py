"""Head pose as the project states it (see `arkit`): R = Ry(yaw) Rx(pitch) Rz(roll), degrees; translation in cm."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["VERTICAL_FOV_DEG", "angles_of", "focal_length_px", "pose_from_frame", "pose_of_crop", "rotation_of"]

VERTICAL_FOV_DEG = 63.0
"""MediaPipe's assumption about an unknown camera; distances scale with it."""


def focal_length_px(height: int) -> float:
    """Focal length in pixels of the assumed camera, for a picture of `height` pixels."""
    return height / 2 / math.tan(math.radians(VERTICAL_FOV_DEG) / 2)


def rotation_of(pitch: float, yaw: float, roll: float) -> NDArray[np.float64]:
    """(3, 3) rotation of angles in degrees."""
    (cp, sp), (cy, sy), (cr, sr) = ((math.cos(a), math.sin(a)) for a in map(math.radians, (pitch, yaw, roll)))
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rx = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    rz = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(ry @ rx @ rz)


def angles_of(rotation: NDArray[np.floating]) -> tuple[float, float, float]:
    """(pitch, yaw, roll) in degrees of a rotation matrix; inverse of `rotation_of` for pitch within +-90."""
    r = rotation.astype(np.float64)
    pitch = math.asin(float(np.clip(-r[1, 2], -1, 1)))
    yaw = math.atan2(r[0, 2], r[2, 2])
    roll = math.atan2(r[1, 0], r[1, 1])
    return math.degrees(pitch), math.degrees(yaw), math.degrees(roll)


def pose_from_frame(
    rotation: NDArray[np.floating], scale: float, centre: NDArray[np.floating], width: int, height: int
) -> NDArray[np.float32]:
    """(6,) pose in POSE_NAMES order from a fitted face: `scale` pixels per cm, `centre` (x, y, z) pixels with y up.

    Weak perspective: the distance follows from the size of the face, eyes 6.3 cm apart, under `VERTICAL_FOV_DEG`; z is
    negative, in front of the camera.
    """
    x = (float(centre[0]) - width / 2) / scale
    y = (float(centre[1]) + height / 2) / scale
    return np.array([*angles_of(rotation), x, y, -focal_length_px(height) / scale], np.float32)


def pose_of_crop(
    pose: NDArray[np.float32], left: int, top: int, side: int, width: int, height: int
) -> NDArray[np.float32]:
    """The pose (6,) found in a square crop, for the whole picture: same angles, translation of the whole camera."""
    pitch, yaw, roll, x, y, z = (float(v) for v in pose)
    pixels_per_cm = focal_length_px(side) / -z
    x += (left + side / 2 - width / 2) / pixels_per_cm
    y -= (top + side / 2 - height / 2) / pixels_per_cm
    return np.array([pitch, yaw, roll, x, y, -focal_length_px(height) / pixels_per_cm], np.float32)
