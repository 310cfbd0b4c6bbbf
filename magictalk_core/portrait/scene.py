"""A portrait in its frame: the face alone, or the picture as its user framed it, of which what moves is redrawn."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.matte import WholeHead
from magictalk_core.portrait.surroundings import moving_area
from magictalk_core.rig.rig import Rig

__all__ = ["DEFAULT_SIZES", "Crop", "Scene"]

Picture = NDArray[np.uint8]


class Crop(StrEnum):
    """What of a picture is seen."""

    FACE = "face"
    """A square around the face."""
    KEEP = "keep"
    """The whole picture."""


DEFAULT_SIZES = {Crop.FACE: 256, Crop.KEEP: 1024}
"""Side of the square; the most that the longer side of a whole picture has."""


class Scene:
    """One portrait (h, w, 3) with a face (468, 3), ready to move. Holds a GL context: `close` it.

    Frames are `width` x `height`: of the face `size` x `size`; of the whole picture its own, reduced where its longer
    side is more than `size`, and less a row or a column where that is odd. It is never enlarged.
    """

    def __init__(
        self, picture: Picture, landmarks: NDArray[np.float32], rig: Rig, crop: Crop, size: int, head: WholeHead
    ) -> None:
        self._corner, self._whole = (0, 0), None
        if crop is Crop.FACE:
            self._animator = PortraitAnimator(picture, landmarks, rig, size, head=head)
            self.width = self.height = size
            return
        whole, points, person = _fitted(picture, landmarks, head.person, size)
        (left, top), (right, bottom) = moving_area(points, whole.shape[1], whole.shape[0])
        part = slice(top, bottom), slice(left, right)
        inside = WholeHead(None if person is None else np.ascontiguousarray(person[part]))
        moved = points - np.array([left, top, 0], np.float32)
        given = np.ascontiguousarray(whole[part])
        self._animator = PortraitAnimator(given, moved, rig, crop=False, head=inside)
        self._corner, self._whole = (left, top), whole
        self.height, self.width = whole.shape[:2]

    def render(self, motion: NDArray[np.floating], breath_cm: NDArray[np.floating] | None = None) -> Iterator[Picture]:
        """Frames (height, width, 3) of `PortraitAnimator.render`."""
        for frame in self._animator.render(motion, breath_cm=breath_cm):
            if self._whole is None:
                yield frame
                continue
            picture, (left, top) = self._whole.copy(), self._corner
            picture[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
            yield picture

    def close(self) -> None:
        self._animator.close()


def _fitted(
    picture: Picture, landmarks: NDArray[np.float32], person: Picture | None, size: int
) -> tuple[Picture, NDArray[np.float32], Picture | None]:
    """Picture, landmarks and mask with even sides of at most `size`."""
    height, width = picture.shape[:2]
    zoom = min(1.0, size / max(height, width))
    if zoom < 1:
        sides = tuple(max(2, 2 * round(side * zoom / 2)) for side in (width, height))
        grow = np.array([sides[0] / width, sides[1] / height, zoom], np.float32)
        shrunk = [cv2.resize(one, sides, interpolation=cv2.INTER_AREA) for one in (picture, person) if one is not None]
        points = np.asarray(landmarks * grow, np.float32)
        return np.asarray(shrunk[0], np.uint8), points, np.asarray(shrunk[1], np.uint8) if person is not None else None
    rows, columns = height - height % 2, width - width % 2
    cut = None if person is None else person[:rows, :columns]
    return picture[:rows, :columns], landmarks.astype(np.float32), cut
