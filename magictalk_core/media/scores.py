"""What the probed frames of a clip say about its quality: numbers to store, no decisions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.crop import Box, CropBox
from magictalk_core.media.picture import ScaledBox, Sighting

__all__ = ["SHARPNESS_SIDE", "face_scores", "frozen_share", "luma", "roll_deg", "sharpness", "yaw_deg"]

SHARPNESS_SIDE = 128
"""Side, in pixels, that a face is scaled to before its sharpness is measured."""
_SAME_LEVELS = 0.25
"""Mean absolute difference of luma, of 255, below which two frames show the same picture. A frozen picture, encoded
again at crf 38, stays below 0.07; the quietest pair in the 22 clips of ../shared/samples differs by 0.75."""


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w, 3) RGB to (h, w) luma."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


def sharpness(gray: NDArray[np.uint8], box: Box) -> float:
    """Variance of the Laplacian of the face at 128 px: blur and strong compression flatten it."""
    height, width = gray.shape
    left, top = max(0, int(box.x)), max(0, int(box.y))
    face = gray[top : min(height, int(box.y + box.height)), left : min(width, int(box.x + box.width))]
    if min(face.shape) < 2:
        return 0.0
    method = cv2.INTER_AREA if max(face.shape) > SHARPNESS_SIDE else cv2.INTER_LINEAR
    small = cv2.resize(face, (SHARPNESS_SIDE, SHARPNESS_SIDE), interpolation=method)
    return float(cv2.Laplacian(small, cv2.CV_32F).var())


def yaw_deg(box: Any) -> float:
    """Turn of the head in degrees from the detector's six points, 0 facing the camera; a coarse estimate.

    With the nose as far before the line between the ears as the ears are from its middle, its place on that line is
    half the tangent of the turn. A detector without points says 0.
    """
    points = getattr(box, "keypoints", None)
    if points is None:
        return 0.0
    right_ear, left_ear, nose = (np.asarray(points[i], np.float64) for i in (4, 5, 2))
    line = left_ear - right_ear
    length = float(line @ line)
    if length < 1e-6:
        return 90.0
    return math.degrees(math.atan(2 * float((nose - right_ear) @ line) / length - 1))


def roll_deg(box: Any) -> float:
    """Tilt of the head in degrees from the detector's points: 0 with the mouth below the eyes, positive
    counter-clockwise in the picture, +-180 upside down. A detector without points says 0."""
    points = getattr(box, "keypoints", None)
    if points is None:
        return 0.0
    right_eye, left_eye, mouth = (np.asarray(points[i], np.float64) for i in (0, 1, 3))
    x, y = mouth - (right_eye + left_eye) / 2
    return math.degrees(math.atan2(x, y))


def frozen_share(grays: Sequence[NDArray[np.uint8]], region: tuple[int, int, int, int]) -> float:
    """Share of neighbouring probed frames that are equal within `region` (left, top, right, bottom)."""
    if len(grays) < 2:
        return 0.0
    left, top, right, bottom = region
    cuts = [g[top:bottom, left:right].astype(np.int16) for g in grays]
    same = [float(np.abs(a - b).mean()) < _SAME_LEVELS for a, b in pairwise(cuts)]
    return sum(same) / len(same)


def face_scores(speaker: Sequence[ScaledBox | None], sightings: Sequence[Sighting], crop: CropBox) -> dict[str, float]:
    """Scores of the speaker's face over the probed frames; a rival is another face of at least half its side whose
    centre lies in the crop, and another speaker is who is followed where the speaker is not to be seen."""
    found = [box for box in speaker if box is not None]
    rivals = 0
    others = sum(own is None and sighting.face is not None for own, sighting in zip(speaker, sightings, strict=True))
    for own, seen in zip(speaker, (sighting.faces for sighting in sightings), strict=True):
        side = own.width if own is not None else float(np.median([box.width for box in found]))
        rivals += any(box is not own and box.width >= side / 2 and _in_crop(box, crop) for box in seen)
    return {
        "face_share": len(found) / len(speaker),
        "second_face_share": rivals / len(speaker),
        "other_speaker_share": others / len(speaker),
        "face_px": round(float(np.median([(box.width + box.height) / 2 for box in found])), 2),
        "sharpness": round(float(np.median([box.sharpness for box in found])), 3),
        "yaw_deg": round(float(np.median([abs(box.yaw_deg) for box in found])), 2),
        "roll_deg": round(float(np.median([abs(box.roll_deg) for box in found])), 2),
    }


def _in_crop(box: Box, crop: CropBox) -> bool:
    x, y = box.x + box.width / 2, box.y + box.height / 2
    return crop.x <= x < crop.x + crop.size and crop.y <= y < crop.y + crop.size
