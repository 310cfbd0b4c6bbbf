"""The turned rectangle around a face that a network looks at, and its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.face_box import FaceBox

__all__ = ["ROI_SCALE", "FaceRegion", "region_of_detection"]

ROI_SCALE = 1.5
"""Sides of the region over the sides of the detected face, as in MediaPipe."""


@dataclass(frozen=True)
class FaceRegion:
    """Centre and sides in picture pixels; `angle` in radians turns the rectangle clockwise as seen in the picture."""

    x: float
    y: float
    width: float
    height: float
    angle: float

    def to_picture(self, n: int) -> NDArray[np.float32]:
        """(2, 3) affine map from the pixels of an n x n crop to picture pixels: (0, 0) and (n, n) are corners."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        w, h = self.width, self.height
        xx, xy, yx, yy = c * w / n, -s * h / n, s * w / n, c * h / n
        matrix = [[xx, xy, self.x - (xx + xy) * n / 2], [yx, yy, self.y - (yx + yy) * n / 2]]
        return np.array(matrix, np.float32)

    def crop(self, picture: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
        """(n, n, channels) as MediaPipe samples it: bilinear, corner on corner, the picture's edge repeated."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        found = cv2.warpAffine(picture, self.to_picture(n), (n, n), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, np.uint8)


def region_of_detection(box: FaceBox) -> FaceRegion:
    """`ROI_SCALE` times the detected face, turned so that its eyes are level."""
    (right_x, right_y), (left_x, left_y) = box.keypoints[0], box.keypoints[1]
    x, y = box.x + box.width / 2, box.y + box.height / 2
    angle = math.atan2(float(left_y - right_y), float(left_x - right_x))
    return FaceRegion(x, y, box.width * ROI_SCALE, box.height * ROI_SCALE, angle)
