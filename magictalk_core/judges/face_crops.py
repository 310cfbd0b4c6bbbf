"""Square crops of faces for networks that want one: where the face is, cut out, and brought to their size."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.detection import FaceDetector, load_face_detector
from magictalk_core.faces.face_box import choose_face

__all__ = ["FaceFinder", "Square", "crop_all"]

Square = tuple[float, float, float]
"""Centre x, centre y and side, in pixels of the picture."""

_NO_FACE: Square = (math.nan, math.nan, math.nan)


class FaceFinder:
    """The square around the face that a picture is about, by the detector of `faces`. Not for several threads."""

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector

    @classmethod
    def load(cls) -> FaceFinder:
        """Fetches the detector on first use; raises `TransientError` when that fails."""
        return cls(load_face_detector())

    def squares(self, frames: NDArray[np.uint8], scale: float, lower: float) -> NDArray[np.float64]:
        """(n, 3) squares of frames (n, H, W, 3), NaN where no face is seen: `scale` times the longer side of the
        detected face, its centre moved down by the share `lower` of that side."""
        found = []
        for frame in frames:
            box = choose_face(self._detector.detect(frame), frame.shape[1], frame.shape[0])
            if box is None:
                found.append(_NO_FACE)
                continue
            side = max(box.width, box.height)
            found.append((box.x + box.width / 2, box.y + box.height / 2 + lower * side, scale * side))
        return np.array(found, np.float64).reshape(len(frames), 3)


def crop_all(frames: NDArray[np.uint8], squares: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """(m, size, size, 3): of the frames (n, H, W, 3) whose square (n, 3) is finite, in their order.

    The picture's edge is repeated where a square reaches beyond it; a larger square is averaged down.
    """
    seen = np.flatnonzero(np.isfinite(squares).all(axis=1))
    crops = [_crop(frames[i], squares[i], size) for i in seen]
    return np.stack(crops) if crops else np.zeros((0, size, size, 3), np.uint8)


def _crop(frame: NDArray[np.uint8], square: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    x, y, side = (float(v) for v in square)
    if side > size:
        # A linear sample every few pixels would skip the ones between: shrink the picture first, about the same centre.
        shrink = size / side
        small = (max(1, round(frame.shape[1] * shrink)), max(1, round(frame.shape[0] * shrink)))
        across, down = small[0] / frame.shape[1], small[1] / frame.shape[0]
        frame = np.asarray(cv2.resize(frame, small, interpolation=cv2.INTER_AREA), np.uint8)
    else:
        across = down = 1.0
    # Pixel i of a crop has its middle at i + 0.5, in the crop as in the picture.
    step_x, step_y = side / size * across, side / size * down
    left, top = (x - side / 2) * across, (y - side / 2) * down
    matrix = np.array([[step_x, 0, left + step_x / 2 - 0.5], [0, step_y, top + step_y / 2 - 0.5]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(frame, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
