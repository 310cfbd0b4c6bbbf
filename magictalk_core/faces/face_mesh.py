"""468 landmarks of one face with the face mesh network of the mediapipe wheel, on LiteRT, without history."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.detection import FaceBox, FaceDetector, load_face_detector
from magictalk_core.faces.litert import LiteRtModel
from magictalk_core.weights.resolver import resolve

__all__ = ["FaceMesh", "MeshResult", "choose_face", "load_face_mesh"]

ROI_SCALE = 1.5
MIN_PRESENCE = 0.5


@dataclass(frozen=True, eq=False)
class MeshResult:
    """`landmarks` (468, 3) pixels: x right, y down, z away from the camera at the scale of x; `presence` 0..1."""

    landmarks: NDArray[np.float32]
    presence: float


def choose_face(boxes: list[FaceBox], width: int, height: int) -> FaceBox | None:
    """The face a clip is about: large, sure, and near the centre of the crop."""

    def weight(box: FaceBox) -> float:
        dx = (box.x + box.width / 2) / width - 0.5
        dy = (box.y + box.height / 2) / height - 0.5
        return box.score * box.width * box.height * float(np.exp(-4 * (dx * dx + dy * dy)))

    return max(boxes, key=weight, default=None)


class FaceMesh:
    """Detection, then the landmark network twice: on the region that the detection gives, and on the region that the
    first landmarks give. The second pass makes the result insensitive to where the detector put its box, and nothing
    depends on another frame."""

    def __init__(self, detector: FaceDetector, model: LiteRtModel) -> None:
        self._detector = detector
        self._model = model

    def find(self, rgb: NDArray[np.uint8]) -> MeshResult | None:
        """The mesh of the face that the picture (h, w, 3) is about, or None."""
        box = choose_face(self._detector.detect(rgb), rgb.shape[1], rgb.shape[0])
        if box is None:
            return None
        right, left = box.keypoints[0], box.keypoints[1]
        centre = np.array([box.x + box.width / 2, box.y + box.height / 2], np.float32)
        first = self._landmarks(rgb, centre, max(box.width, box.height) * ROI_SCALE, left - right)
        points = first.landmarks[:, :2]
        low, high = points.min(axis=0), points.max(axis=0)
        eyes = first.landmarks[263, :2] - first.landmarks[33, :2]
        result = self._landmarks(rgb, (low + high) / 2, float((high - low).max()) * ROI_SCALE, eyes)
        return result if result.presence >= MIN_PRESENCE else None

    def _landmarks(
        self, rgb: NDArray[np.uint8], centre: NDArray[np.float32], side: float, eyes: NDArray[np.float32]
    ) -> MeshResult:
        """Landmarks in the square of `side` pixels around `centre`, turned so that the vector `eyes` is level."""
        angle = float(np.arctan2(eyes[1], eyes[0]))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
        n = self._model.side
        scale = side / n
        to_picture = np.hstack([turn * scale, (centre - turn @ np.float32([n / 2, n / 2]) * scale)[:, None]])
        # WARP_INVERSE_MAP: the matrix maps crop pixels to picture pixels; sampling at pixel centres.
        shift = to_picture.copy()
        shift[:, 2] += to_picture[:, :2] @ np.float32([0.5, 0.5]) - 0.5
        source, shift = _shrink_first(rgb, shift, scale)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        crop = cv2.warpAffine(source, shift, (n, n), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        raw, logit = self._model.run(crop.astype(np.float32) / 255.0)
        points = raw.reshape(-1, 3)
        xy = points[:, :2] @ to_picture[:, :2].T + to_picture[:, 2]
        landmarks = np.column_stack([xy, points[:, 2] * scale]).astype(np.float32)
        return MeshResult(landmarks, float(1 / (1 + np.exp(-logit.ravel()[0]))))


def _shrink_first(
    rgb: NDArray[np.uint8], matrix: NDArray[np.float32], scale: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Halve the picture while the crop would skip pixels: bilinear sampling of a much larger picture aliases."""
    while scale > 2 and min(rgb.shape[:2]) > 64:
        rgb = cv2.resize(rgb, (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA)
        matrix, scale = matrix / 2, scale / 2
        matrix[:, 2] -= 0.25
    return rgb, matrix


def load_face_mesh() -> FaceMesh:
    """Detector and landmark network of the mediapipe wheel."""
    return FaceMesh(load_face_detector(), LiteRtModel(resolve("face_landmark.tflite")))
