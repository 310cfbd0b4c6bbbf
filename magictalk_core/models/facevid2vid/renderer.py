"""A portrait moved by face-vid2vid: the rig plays the motion, and the networks take the rig's movement to the portrait.

Section 3.4 of the paper: motion counts from the rig's neutral frame, so that the portrait keeps a face of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.models.facevid2vid.model import FaceVid2VidModel, MotionMode
from magictalk_core.portrait.animator import crop_to_face
from magictalk_core.rig.render import RigRenderer
from magictalk_core.rig.rig import Rig
from magictalk_core.vocabulary.arkit import MOTION_NAMES

__all__ = ["NeuralAnimator"]

_NEUTRAL_ROW = np.zeros(len(MOTION_NAMES), np.float32)


class NeuralAnimator:
    """One portrait, ready to move. Holds a GL context: `close` it.

    `portrait` (h, w, 3) RGB, `landmarks` (468, 3) pixels in it; frames are `size` x `size` of the face. `mode` and
    `adapt_scale` are of `FaceVid2VidModel.animate`.
    """

    def __init__(
        self,
        model: FaceVid2VidModel,
        portrait: NDArray[np.uint8],
        landmarks: NDArray[np.float32],
        rig: Rig,
        size: int = 256,
        mode: MotionMode = "relative",
        adapt_scale: bool = False,
    ) -> None:
        self._model, self._mode, self._adapt_scale = model, mode, adapt_scale
        self.width = self.height = size
        crop, _ = crop_to_face(portrait, landmarks[:468], model.size)
        self._source = model.look_at(crop)
        self._rig = RigRenderer(rig, model.size)

    def render(
        self, motion: NDArray[np.floating], breath_cm: NDArray[np.floating] | None = None
    ) -> Iterator[NDArray[np.uint8]]:
        """Frames (size, size, 3) of a motion (n, 58), NaN as 0; a batch of frames is in memory, however long it is.

        `breath_cm` moves shoulders, and the rig that drives the networks has none: nothing is seen of it.
        """
        neutral = self._rig.frame(_NEUTRAL_ROW)
        driving = self._rig.render(motion)
        for frame in self._model.animate(self._source, driving, neutral, self._mode, self._adapt_scale):
            yield self._sized(frame)

    def _sized(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.width == self._model.size:
            return frame
        how = cv2.INTER_LANCZOS4 if self.width > self._model.size else cv2.INTER_AREA
        return np.asarray(cv2.resize(frame, (self.width, self.height), interpolation=how), np.uint8)

    def close(self) -> None:
        self._rig.close()
