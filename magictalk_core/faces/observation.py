"""What a tracker says about one picture, and how that reads in the video that the picture was cut out of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.head_pose import pose_of_crop
from magictalk_core.media.speaker import SpeakerPicture
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES

__all__ = ["NO_FACE", "FaceObservation", "in_whole_picture"]


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


def in_whole_picture(seen: FaceObservation, picture: SpeakerPicture) -> FaceObservation:
    """Landmarks and translation as in the whole picture.

    Rotation stays as seen along the line to the face, so that a clip gives the same angles before and after it was
    cropped.
    """
    crop = picture.crop
    if crop is None or seen.landmarks is None or picture.rgb is None:
        return seen
    scale = crop.size / picture.rgb.shape[0]
    landmarks = seen.landmarks * np.float32(scale) + np.array([crop.x, crop.y, 0], np.float32)
    pose = pose_of_crop(seen.pose, crop.x, crop.y, crop.size, picture.width, picture.height)
    return replace(seen, landmarks=landmarks, pose=pose)
