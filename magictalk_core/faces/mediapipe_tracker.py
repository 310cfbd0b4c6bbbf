"""MediaPipe's Face Landmarker in image mode, the reference tracker.

Video mode depends on what came before and differs between runs; image mode does not. A larger picture only costs time,
so frames are expected to be face crops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.arkit import ARKIT_NAMES
from magictalk_core.faces.head_pose import angles_of
from magictalk_core.faces.tracker import FACE_LANDMARKER, MEDIAPIPE_ID, NO_FACE, FaceObservation
from magictalk_core.weights.resolver import resolve

__all__ = ["MediaPipeTracker"]

_POSITION = {name: i for i, name in enumerate(ARKIT_NAMES)}


class MediaPipeTracker:
    """478 landmarks, 51 coefficients by name, head pose from the facial transformation matrix."""

    id = MEDIAPIPE_ID

    def __init__(self) -> None:
        # Imported here: mediapipe takes a second and most of the library does without it.
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=resolve(FACE_LANDMARKER).read_bytes()),
            running_mode=vision.RunningMode.IMAGE,
            num_faces=1,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        self._landmarker: Any = vision.FaceLandmarker.create_from_options(options)

    def track(self, frames: Iterable[NDArray[np.uint8]]) -> Iterator[FaceObservation]:
        import mediapipe

        for rgb in frames:
            image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
            result = self._landmarker.detect(image)
            yield _observation(result, rgb.shape[1], rgb.shape[0]) if result.face_landmarks else NO_FACE


def _observation(result: Any, width: int, height: int) -> FaceObservation:
    points = np.array([(p.x, p.y, p.z) for p in result.face_landmarks[0]], np.float32)
    landmarks = points * np.float32([width, height, width])
    coefficients = np.full(len(ARKIT_NAMES), np.nan, np.float32)
    for category in result.face_blendshapes[0]:
        if category.category_name in _POSITION:
            coefficients[_POSITION[category.category_name]] = min(max(category.score, 0.0), 1.0)
    # The matrix takes the canonical face to the camera: x right, y up, z to the viewer, centimetres.
    matrix = np.array(result.facial_transformation_matrixes[0], np.float64)
    scale = float(np.cbrt(np.linalg.det(matrix[:3, :3])))
    pose = np.array([*angles_of(matrix[:3, :3] / scale), *matrix[:3, 3]], np.float32)
    # Face Landmarker reports no presence score for a face that it found.
    return FaceObservation(True, float("nan"), landmarks, coefficients, pose)
