"""MediaPipe's Face Landmarker in image mode, the reference tracker.

Video mode depends on what came before and differs between runs; image mode does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from magictalk_core.faces.bundle_file import BUNDLE
from magictalk_core.faces.face_box import centrality
from magictalk_core.faces.head_pose import angles_of
from magictalk_core.faces.observation import NO_FACE, FaceObservation
from magictalk_core.faces.quiet_start import native_log_lines
from magictalk_core.faces.tracker_ids import MEDIAPIPE_ID
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, BLIND_CHANNELS
from magictalk_core.weights.resolver import resolve

__all__ = ["MediaPipeTracker"]

_MAX_FACES = 3
_POSITION = {name: i for i, name in enumerate(ARKIT_NAMES) if name not in BLIND_CHANNELS["mediapipe"]}


class MediaPipeTracker:
    """478 landmarks, the coefficients that it sees by name, head pose from the facial transformation matrix."""

    id = MEDIAPIPE_ID

    def __init__(self) -> None:
        self._bundle = resolve(BUNDLE).read_bytes()

    def track(self, pictures: Iterable[NDArray[np.uint8] | None]) -> Iterator[FaceObservation]:
        # Imported here: mediapipe takes a second and most of the library does without it.
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=self._bundle),
            running_mode=vision.RunningMode.IMAGE,
            num_faces=_MAX_FACES,
            output_face_blendshapes=True,
            output_facial_transformation_matrixes=True,
        )
        # Opened for each run of pictures: a landmarker that lives until the interpreter's exit can no longer be closed.
        with _started(options) as landmarker:
            for rgb in pictures:
                yield NO_FACE if rgb is None else _observe(landmarker, rgb)


def _started(options: Any) -> Any:
    """A landmarker whose networks are loaded: it loads them, and talks of it, at its first picture."""
    from mediapipe import Image, ImageFormat
    from mediapipe.tasks.python import vision

    with native_log_lines():
        landmarker = vision.FaceLandmarker.create_from_options(options)
        landmarker.detect(Image(image_format=ImageFormat.SRGB, data=np.zeros((64, 64, 3), np.uint8)))
    return landmarker


def _observe(landmarker: Any, rgb: NDArray[np.uint8]) -> FaceObservation:
    from mediapipe import Image, ImageFormat

    image = Image(image_format=ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
    result = landmarker.detect(image)
    if not result.face_landmarks:
        return NO_FACE
    faces = [np.array([(p.x, p.y, p.z) for p in face], np.float32) for face in result.face_landmarks]
    best = max(range(len(faces)), key=lambda i: _weight(faces[i]))
    size = np.array([rgb.shape[1], rgb.shape[0], rgb.shape[1]], np.float32)
    coefficients = np.full(len(ARKIT_NAMES), np.nan, np.float32)
    for category in result.face_blendshapes[best]:
        if category.category_name in _POSITION:
            coefficients[_POSITION[category.category_name]] = min(max(category.score, 0.0), 1.0)
    # The matrix takes the canonical face to the camera: x right, y up, z to the viewer, centimetres.
    matrix = np.array(result.facial_transformation_matrixes[best], np.float64)
    scale = float(np.cbrt(np.linalg.det(matrix[:3, :3])))
    pose = np.array([*angles_of(Rotation.from_matrix(matrix[:3, :3] / scale)), *matrix[:3, 3]], np.float32)
    # Face Landmarker reports no presence score for a face that it found.
    return FaceObservation(True, float("nan"), faces[best] * size, coefficients, pose)


def _weight(face: NDArray[np.float32]) -> float:
    """Area times centrality of landmarks in shares of the picture."""
    low, high = face[:, :2].min(axis=0), face[:, :2].max(axis=0)
    x, y = (low + high) / 2
    return float((high - low).prod()) * centrality(float(x), float(y))
