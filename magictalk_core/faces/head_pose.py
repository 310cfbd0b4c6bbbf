"""Head pose as the project states it (see `arkit`): R = Ry(yaw) Rx(pitch) Rz(roll), degrees; translation in cm."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

__all__ = [
    "VERTICAL_FOV_DEG", "angles_of", "focal_length_px", "head_turns", "pose_from_frame", "pose_of_crop", "rotation_of",
]  # fmt: skip

VERTICAL_FOV_DEG = 63.0
"""MediaPipe's assumption about an unknown camera; distances scale with it."""

_AXES = "YXZ"
"""Capital letters: each turn about the axes that the one before it left."""
_YAW_PITCH_ROLL = [1, 0, 2]
"""Between POSE_NAMES order and that of `_AXES`; its own inverse."""


def focal_length_px(height: int) -> float:
    """Focal length in pixels of the assumed camera, for a picture of `height` pixels."""
    return height / 2 / math.tan(math.radians(VERTICAL_FOV_DEG) / 2)


def head_turns(angles: ArrayLike) -> Rotation:
    """The rotations of (..., 3) pitch, yaw and roll in degrees."""
    return Rotation.from_euler(_AXES, np.asarray(angles, np.float64)[..., _YAW_PITCH_ROLL], degrees=True)


def rotation_of(pitch: float, yaw: float, roll: float) -> NDArray[np.float64]:
    """(3, 3) rotation of angles in degrees."""
    return np.asarray(head_turns((pitch, yaw, roll)).as_matrix())


def angles_of(turns: Rotation) -> NDArray[np.float64]:
    """(..., 3) pitch, yaw and roll in degrees; inverse of `head_turns` for pitch within +-90."""
    return np.asarray(turns.as_euler(_AXES, degrees=True)[..., _YAW_PITCH_ROLL])


def pose_from_frame(
    rotation: NDArray[np.floating], scale: float, centre: NDArray[np.floating], width: int, height: int
) -> NDArray[np.float32]:
    """(6,) pose in POSE_NAMES order from a fitted face: `scale` pixels per cm, `centre` (x, y, z) pixels with y up.

    Weak perspective: the distance follows from the size of the face, eyes 6.3 cm apart, under `VERTICAL_FOV_DEG`; z is
    negative, in front of the camera.
    """
    x = (float(centre[0]) - width / 2) / scale
    y = (float(centre[1]) + height / 2) / scale
    return np.array([*angles_of(Rotation.from_matrix(rotation)), x, y, -focal_length_px(height) / scale], np.float32)


def pose_of_crop(
    pose: NDArray[np.float32], left: int, top: int, side: int, width: int, height: int
) -> NDArray[np.float32]:
    """The pose (6,) found in a square crop, for the whole picture: same angles, translation of the whole camera."""
    pitch, yaw, roll, x, y, z = (float(v) for v in pose)
    pixels_per_cm = focal_length_px(side) / -z
    x += (left + side / 2 - width / 2) / pixels_per_cm
    y -= (top + side / 2 - height / 2) / pixels_per_cm
    return np.array([pitch, yaw, roll, x, y, -focal_length_px(height) / pixels_per_cm], np.float32)
