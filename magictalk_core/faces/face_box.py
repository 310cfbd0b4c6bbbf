"""A detected face, and which of several a picture is about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["FaceBox", "centrality", "choose_face"]


@dataclass(frozen=True, eq=False)
class FaceBox:
    """A face in pixels; `keypoints` (6, 2): right eye, left eye, nose tip, mouth, right ear, left ear (subject's)."""

    x: float
    y: float
    width: float
    height: float
    score: float
    keypoints: NDArray[np.float32]


def centrality(x: float, y: float) -> float:
    """1 at the centre of the picture, 0.4 at a fifth of its side away, 0.03 at two fifths; `x`, `y` in its shares.

    A crop is centred on its speaker. A bystander at its edge needs many times the speaker's area to be taken for him.
    """
    return float(np.exp(-22 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)))


def choose_face(boxes: list[FaceBox], width: int, height: int) -> FaceBox | None:
    """The face a picture is about: the largest product of score, area and nearness to the centre."""
    if len(boxes) == 1:
        return boxes[0]

    def weight(box: FaceBox) -> float:
        near = centrality((box.x + box.width / 2) / width, (box.y + box.height / 2) / height)
        return box.score * box.width * box.height * near

    return max(boxes, key=weight, default=None)
