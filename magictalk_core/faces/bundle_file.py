"""The file that MediaPipe's Face Landmarker comes in: a zip archive of networks."""

from __future__ import annotations

import zipfile

from magictalk_core.weights.resolver import resolve

__all__ = ["BUNDLE", "bundle_member"]

BUNDLE = "face_landmarker.task"


def bundle_member(member: str) -> bytes:
    """One file of the bundle, for example `face_landmarks_detector.tflite`."""
    with zipfile.ZipFile(resolve(BUNDLE)) as archive:
        return archive.read(member)
