"""How much of a face a picture shows: a covered mouth has landmarks like any other, and so has a face half outside.

Lips differ from the skin around them in colour, and have edges; what lies over a mouth is the same where the lips would
be and beside them. Both are read where the mesh says that the lips are, in a picture turned level and scaled to the
distance of the eyes.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.face_mesh import load_face_mesh
from magictalk_core.faces.mesh import LIPS_INNER, LIPS_OUTER
from magictalk_core.faces.observation import FaceObservation
from magictalk_core.media.following import PROBE_EVERY
from magictalk_core.media.speaker import SpeakerPicture
from magictalk_core.media.visibility import FaceViewer, VisibleFace, seen_scores, share_outside

__all__ = ["Visibility", "lips_contrast", "load_face_viewer"]

_EYES_PX = 100
_SIZE = (200, 220)
_EYES_AT = (100, 70)
_LEAST_EYES_PX = 24.0
"""Distance of the eyes' outer corners below which lips are too few pixels to be judged."""
_OUTER_EYES = (33, 263)
_SKIN_LIGHT, _LEAST_LIGHT = 60.0, 15.0
"""CIELAB L of a well lit face, and the least one that contrasts are scaled up from."""


def lips_contrast(rgb: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> float | None:
    """Geometric mean of the lips' colour difference to the skin around (CIELAB) and of the mouth's edges (Sobel, L), as
    in a face of ordinary brightness.

    `landmarks` (468+, 2 or 3) in pixels of the picture (h, w, 3). None for a face that is too small.
    """
    right, left = (landmarks[i, :2].astype(np.float64) for i in _OUTER_EYES)
    eyes = left - right
    distance = float(np.hypot(*eyes))
    if distance < _LEAST_EYES_PX:
        return None
    level, points = _levelled(rgb, landmarks[:, :2].astype(np.float64), (right + left) / 2, eyes)
    lab = cv2.cvtColor(level.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    mouth, opening = _filled(points[list(LIPS_OUTER)]), _filled(points[list(LIPS_INNER)])
    lips = (cv2.erode(mouth, _disc(2)) > 0) & (cv2.dilate(opening, _disc(1)) == 0)
    skin = (cv2.dilate(mouth, _disc(10)) > 0) & (cv2.dilate(mouth, _disc(4)) == 0)
    if not lips.any() or not skin.any():
        return None
    colour = float(np.linalg.norm(np.median(lab[lips], axis=0) - np.median(lab[skin], axis=0)))
    light = lab[..., 0]
    edges = np.hypot(cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1))
    exposure = _SKIN_LIGHT / max(_LEAST_LIGHT, float(np.median(cv2.remap(light, points.astype(np.float32), None, 0))))
    return exposure * math.sqrt(colour * float(edges[mouth > 0].mean()))


def _levelled(
    rgb: NDArray[np.uint8], points: NDArray[np.float64], middle: NDArray[np.float64], eyes: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Picture and points with the eyes level, `_EYES_PX` apart, at their place."""
    scale = _EYES_PX / float(np.hypot(*eyes))
    c, s = eyes / np.hypot(*eyes) * scale
    turn = np.array([[c, s], [-s, c]])
    shift = np.array(_EYES_AT) - turn @ middle
    matrix = np.column_stack([turn, shift])
    if scale < 0.5:
        # Averaged first: bilinear sampling of a much larger picture would leave most of it out.
        step = round(1 / scale)
        height, width = rgb.shape[:2]
        small = (max(1, width // step), max(1, height // step))
        rgb = np.asarray(cv2.resize(rgb, small, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = np.column_stack([turn * (width / small[0]), shift])
    level = cv2.warpAffine(rgb, matrix, _SIZE, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(level, np.uint8), points @ turn.T + shift


def _filled(outline: NDArray[np.float64]) -> NDArray[np.uint8]:
    mask = np.zeros(_SIZE[::-1], np.uint8)
    cv2.fillPoly(mask, [np.round(outline).astype(np.int32)], 1)
    return mask


def _disc(radius: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)


def load_face_viewer() -> FaceViewer:
    """Landmarks and lips of a picture's face, with the networks of the mediapipe wheel."""
    mesh = load_face_mesh()

    def view(rgb: NDArray[np.uint8]) -> VisibleFace | None:
        seen = mesh.find(rgb)
        if seen is None:
            return None
        return VisibleFace(seen.landmarks[:, :2], lips_contrast(rgb, seen.landmarks))

    return view


class Visibility:
    """The scores of the clip gates on how well a face is to be seen, gathered while a video is tracked."""

    def __init__(self) -> None:
        self._frames = 0
        self._contrasts: list[float] = []
        self._outside: list[float] = []

    def add(self, picture: SpeakerPicture, seen: FaceObservation, whole: FaceObservation) -> None:
        """One frame: as tracked, in pixels of what was cut out, and in pixels of the whole picture. Looks at one of
        every `PROBE_EVERY` closely."""
        self._frames += 1
        if self._frames % PROBE_EVERY != 1 or picture.rgb is None or seen.landmarks is None or whole.landmarks is None:
            return
        contrast = lips_contrast(picture.rgb, seen.landmarks)
        if contrast is not None:
            self._contrasts.append(contrast)
        self._outside.append(share_outside(whole.landmarks[:, :2], picture.width, picture.height))

    def scores(self) -> dict[str, float | None]:
        """By the names of the gates' scores."""
        return seen_scores(self._contrasts, self._outside)
