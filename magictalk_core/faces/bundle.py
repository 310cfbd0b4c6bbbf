"""The networks inside MediaPipe's `face_landmarker.task`, a zip archive, for use on LiteRT without MediaPipe's graph.

The face detector in it gives the same numbers as the one in the mediapipe wheel. The landmark network has 478 points,
ten of them on the irises. The blend shape network takes 146 of them in ascending order: the points of face oval, lips,
eyes, brows and irises, and eight along the ridge of the nose.
"""

from __future__ import annotations

import zipfile

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.arkit import ARKIT_NAMES
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
from magictalk_core.weights.resolver import resolve

__all__ = ["BUNDLE", "BlendshapeNetwork", "bundle_model"]

BUNDLE = "face_landmarker.task"

_IRISES = tuple(range(LANDMARKS, LANDMARKS + 10))
_NOSE_RIDGE = (1, 4, 5, 6, 8, 168, 195, 197)
_SUBSET = sorted(
    {
        *FACE_OVAL, *LIPS_OUTER, *LIPS_INNER, *LEFT_EYE, *RIGHT_EYE, *LEFT_BROW, *RIGHT_BROW, *_IRISES, *_NOSE_RIDGE,
    }
)  # fmt: skip

_CATEGORIES = ("_neutral", *sorted(name for name in ARKIT_NAMES if name != "tongueOut"))
"""Outputs of the network: alphabetical, without `tongueOut`."""


def bundle_model(member: str) -> LiteRtModel:
    """One network of the bundle, for example `face_landmarks_detector.tflite`."""
    with zipfile.ZipFile(resolve(BUNDLE)) as archive:
        return LiteRtModel(archive.read(member))


class BlendshapeNetwork:
    """478 landmarks to ARKit coefficients, the network that the Face Landmarker runs."""

    def __init__(self) -> None:
        self._model = bundle_model("face_blendshapes.tflite")

    def solve(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """(52,) coefficients in ARKIT_NAMES order from landmarks (478, 3) in pixels; NaN for `tongueOut`."""
        scores = self._model.run(landmarks[_SUBSET, :2].astype(np.float32))[0].ravel()
        coefficients = np.full(len(ARKIT_NAMES), np.nan, np.float32)
        for name, score in zip(_CATEGORIES[1:], scores[1:], strict=True):
            coefficients[ARKIT_NAMES.index(name)] = min(max(float(score), 0.0), 1.0)
        return coefficients
