"""The networks inside MediaPipe's `face_landmarker.task`, a zip archive, for use on LiteRT without MediaPipe's graph.

`LandmarkerBundle` does what the Face Landmarker does with a single picture (google-ai-edge/mediapipe,
tasks/cc/vision/face_landmarker), step for step: detection, a turned crop 1.5 times the face, 478 landmarks, 52
categories from 146 of them, and a rigid fit for the head. Ten of the landmarks lie on the irises. The blend shape
network takes, in ascending order, the points of face oval, lips, eyes, brows and irises, and eight along the ridge of
the nose.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.bundle_file import bundle_member
from magictalk_core.faces.detection import FaceDetector
from magictalk_core.faces.face_box import choose_face
from magictalk_core.faces.face_geometry import CanonicalFace, head_poses_of, parse_geometry_metadata
from magictalk_core.faces.litert import LiteRtModel
from magictalk_core.faces.mesh import (
    FACE_OVAL,
    LANDMARKS,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    RIGHT_BROW,
    RIGHT_EYE,
)
from magictalk_core.faces.observation import NO_FACE, FaceObservation
from magictalk_core.faces.region import region_of_detection
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, BLIND_CHANNELS

__all__ = ["LandmarkerBundle", "with_poses"]

_MIN_PRESENCE_LOGIT = 0.0
"""A presence of 0.5, MediaPipe's own threshold."""

_IRISES = tuple(range(LANDMARKS, LANDMARKS + 10))
_NOSE_RIDGE = (1, 4, 5, 6, 8, 168, 195, 197)
_SUBSET = np.array(
    sorted(
        {
            *FACE_OVAL, *LIPS_OUTER, *LIPS_INNER, *LEFT_EYE, *RIGHT_EYE, *LEFT_BROW, *RIGHT_BROW, *_IRISES,
            *_NOSE_RIDGE,
        }
    )
)  # fmt: skip

_CATEGORIES = ("_neutral", *sorted(name for name in ARKIT_NAMES if name != "tongueOut"))
"""Outputs of the network: alphabetical, without `tongueOut`."""

_SEEN = [name for name in _CATEGORIES if name in ARKIT_NAMES and name not in BLIND_CHANNELS["litert-blendshapes"]]
_CATEGORY, _ARKIT_POSITION = (np.array([names.index(name) for name in _SEEN]) for names in (_CATEGORIES, ARKIT_NAMES))


class LandmarkerBundle:
    """Pictures to observations. Not safe for use from several threads; nothing depends on another picture."""

    def __init__(self) -> None:
        self._detector = FaceDetector(LiteRtModel(bundle_member("face_detector.tflite")), as_mediapipe=True)
        self._landmarks = LiteRtModel(bundle_member("face_landmarks_detector.tflite"))
        self._blendshapes = LiteRtModel(bundle_member("face_blendshapes.tflite"))

    def observe(self, rgb: NDArray[np.uint8]) -> FaceObservation:
        """The face that the picture (h, w, 3) is about, its pose still missing: `with_poses` adds it."""
        height, width = rgb.shape[:2]
        # A fourth channel that nobody reads: OpenCV samples four twice as fast as three.
        padded = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA), np.uint8)
        box = choose_face(self._detector.detect(padded), width, height)
        if box is None:
            return NO_FACE
        region, n = region_of_detection(box), self._landmarks.side
        crop = np.asarray(cv2.cvtColor(region.crop(padded, n), cv2.COLOR_RGBA2RGB), np.uint8)
        # The third output, tongue visibility, is not used by MediaPipe either.
        raw, logit = self._landmarks.run_picture(crop, 1 / 255)[:2]
        presence = float(logit.ravel()[0])
        if presence < _MIN_PRESENCE_LOGIT:
            return NO_FACE
        landmarks = raw.reshape(-1, 3)
        to_picture = region.to_picture(n)
        landmarks[:, :2] = landmarks[:, :2] @ to_picture[:, :2].T + to_picture[:, 2]
        landmarks[:, 2] *= region.width / n
        confidence = 1 / (1 + math.exp(-presence))
        return FaceObservation(True, confidence, landmarks, self._coefficients(landmarks), NO_FACE.pose)

    def _coefficients(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """(52,) in ARKIT_NAMES order; NaN for what the network is blind to."""
        scores = self._blendshapes.run(np.ascontiguousarray(landmarks[_SUBSET, :2]))[0].ravel()
        coefficients = np.full(len(ARKIT_NAMES), np.nan, np.float32)
        coefficients[_ARKIT_POSITION] = np.clip(scores[_CATEGORY], 0.0, 1.0)
        return coefficients


@cache
def _canonical_face() -> CanonicalFace:
    return parse_geometry_metadata(bundle_member("geometry_pipeline_metadata_landmarks.binarypb"))


def with_poses(seen: Sequence[FaceObservation], sizes: Sequence[tuple[int, int]]) -> list[FaceObservation]:
    """The observations with their head poses; `sizes`: (height, width) of each picture, in pixels."""
    result = list(seen)
    for height, width in set(sizes):
        at = [i for i, one in enumerate(seen) if one.landmarks is not None and sizes[i] == (height, width)]
        if at:
            faces = np.array([seen[i].landmarks for i in at], np.float32).reshape(len(at), -1, 3)
            for i, pose in zip(at, head_poses_of(faces, _canonical_face(), width, height), strict=True):
                result[i] = replace(seen[i], pose=pose)
    return result
