"""What a tracker says about one frame, and how a large picture is first cut down to its face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.arkit import ARKIT_NAMES, POSE_NAMES
from magictalk_core.faces.detection import FaceDetector, choose_face
from magictalk_core.faces.head_pose import pose_of_crop

__all__ = ["LARGE_PICTURE", "NO_FACE", "FaceObservation", "observe_face"]

LARGE_PICTURE = 512
"""A picture with a longer side, in pixels, is cut to its face before it is tracked; a face crop is taken as it is."""

_CROP_SCALE = 2.5


@dataclass(frozen=True, eq=False)
class FaceObservation:
    """One frame. `landmarks` (468 or 478, 3) pixels or None: x right, y down, z away from the camera at the scale of x;
    `coefficients` (52,) in ARKIT_NAMES order with NaN for channels the tracker cannot see; `pose` (6,) in POSE_NAMES
    order; `confidence` NaN where the tracker gives none."""

    face_found: bool
    confidence: float
    landmarks: NDArray[np.float32] | None
    coefficients: NDArray[np.float32]
    pose: NDArray[np.float32]


NO_FACE = FaceObservation(
    False,
    float("nan"),
    None,
    np.full(len(ARKIT_NAMES), np.nan, np.float32),
    np.full(len(POSE_NAMES), np.nan, np.float32),
)


def observe_face(
    rgb: NDArray[np.uint8], detector: FaceDetector, observe: Callable[[NDArray[np.uint8]], FaceObservation]
) -> FaceObservation:
    """`observe` on the picture, or on the square around its face when the picture is large.

    In a large picture the face is a few pixels wide for the detector, and where it puts the face is then too coarse for
    the landmarks. Landmarks and translation are returned for the whole picture. Rotation is as seen along the line to
    the face, so that a clip gives the same angles before and after it was cropped.
    """
    height, width = rgb.shape[:2]
    if max(height, width) <= LARGE_PICTURE:
        return observe(rgb)
    box = choose_face(detector.detect(rgb), width, height)
    if box is None:
        return NO_FACE
    side = min(round(max(box.width, box.height) * _CROP_SCALE), height, width)
    left = int(np.clip(round(box.x + box.width / 2 - side / 2), 0, width - side))
    top = int(np.clip(round(box.y + box.height / 2 - side / 2), 0, height - side))
    seen = observe(np.ascontiguousarray(rgb[top : top + side, left : left + side]))
    if seen.landmarks is None:
        return seen
    pose = pose_of_crop(seen.pose, left, top, side, width, height)
    return replace(seen, landmarks=seen.landmarks + np.array([left, top, 0], np.float32), pose=pose)
