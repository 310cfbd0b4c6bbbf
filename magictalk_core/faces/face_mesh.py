"""468 landmarks of one face with the networks of the mediapipe wheel on LiteRT, without history."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.detection import FaceDetector, load_face_detector
from magictalk_core.faces.face_box import FaceBox, choose_face
from magictalk_core.faces.litert import LiteRtModel
from magictalk_core.faces.region import ROI_SCALE
from magictalk_core.weights.resolver import resolve

__all__ = ["MIN_PRESENCE", "FaceMesh", "MeshResult", "load_face_mesh"]

MIN_PRESENCE = 0.95
"""Measured on the wheel's network: people, paintings and statues score above 0.99 but for a few frames with the face
turned away; a dog scores 0.88."""


@dataclass(frozen=True, eq=False)
class MeshResult:
    """`landmarks` (468, 3) pixels: x right, y down, z away from the camera in x's scale; `presence` 0..1."""

    landmarks: NDArray[np.float32]
    presence: float

    @property
    def width(self) -> float:
        """Of the face, pixels."""
        return float(np.ptp(self.landmarks[:, 0]))


class FaceMesh:
    """Detection, then the landmark network on the region that the detection gives. Nothing depends on another frame.

    The network runs a second time on the region that the first landmarks give, which makes the result insensitive to
    where the detector put its box.
    """

    def __init__(self, detector: FaceDetector, model: LiteRtModel, least_presence: float = MIN_PRESENCE) -> None:
        self._detector = detector
        self._model = model
        self._least_presence = least_presence

    def find(self, rgb: NDArray[np.uint8]) -> MeshResult | None:
        """The mesh of the face that the picture (h, w, 3) is about, or None."""
        box = choose_face(self._detector.detect(rgb), rgb.shape[1], rgb.shape[0])
        return None if box is None else self._mesh_of(rgb, box)

    def find_all(self, rgb: NDArray[np.uint8]) -> list[tuple[FaceBox, MeshResult]]:
        """All faces of the picture (h, w, 3) as the detector and as the mesh see them, the largest first."""
        seen = [(box, self._mesh_of(rgb, box)) for box in self._detector.detect(rgb)]
        found = [(box, mesh) for box, mesh in seen if mesh is not None]
        return sorted(found, key=lambda pair: -pair[1].width)

    def _mesh_of(self, rgb: NDArray[np.uint8], box: FaceBox) -> MeshResult | None:
        right, left = box.keypoints[0], box.keypoints[1]
        centre = np.array([box.x + box.width / 2, box.y + box.height / 2], np.float32)
        result = self._landmarks(rgb, centre, max(box.width, box.height) * ROI_SCALE, left - right)
        points = result.landmarks[:, :2]
        low, high = points.min(axis=0), points.max(axis=0)
        eyes = points[263] - points[33]
        result = self._landmarks(rgb, (low + high) / 2, float((high - low).max()) * ROI_SCALE, eyes)
        return result if result.presence >= self._least_presence else None

    def _landmarks(
        self, rgb: NDArray[np.uint8], centre: NDArray[np.float32], side: float, eyes: NDArray[np.float32]
    ) -> MeshResult:
        """Landmarks in the square of `side` pixels around `centre`, turned so that the vector `eyes` is level."""
        angle = float(np.arctan2(eyes[1], eyes[0]))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
        n = self._model.side
        scale = side / n
        to_picture = np.hstack([turn * scale, (centre - turn @ np.full(2, n / 2, np.float32) * scale)[:, None]])
        # WARP_INVERSE_MAP: the matrix maps crop pixels to picture pixels; sampling at pixel centres.
        shift = to_picture.copy()
        shift[:, 2] += to_picture[:, :2] @ np.full(2, 0.5, np.float32) - 0.5
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
        matrix, scale = matrix / np.float32(2), scale / 2
        matrix[:, 2] -= 0.25
    return rgb, matrix


def load_face_mesh(least_presence: float = MIN_PRESENCE) -> FaceMesh:
    """Detector and landmark network of the mediapipe wheel; a mesh of less presence than that is none."""
    return FaceMesh(load_face_detector(), LiteRtModel(resolve("face_landmark.tflite").read_bytes()), least_presence)
