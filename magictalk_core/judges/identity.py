"""Embeddings of faces that are near each other where the person is the same, by face-api's recognition network.

That is dlib's ResNet (dlib_face_recognition_resnet_model_v1), trained to put pictures of one person less than 0.6
apart; another space than ArcFace's, so CSIM on it compares only with CSIM on it. Cosines of strangers are far above 0
here: read a value beside that of two strangers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from magictalk_core.judges.face_api_networks import FaceRecognitionNetwork, load_face_recognition
from magictalk_core.judges.face_crops import crop_all
from magictalk_core.judges.face_landmarks68 import Landmarks68, recognition_squares
from magictalk_core.judges.published import as_batches
from magictalk_core.metrics.pictures import picture_batch

__all__ = ["EMBEDDING", "FaceRecognition"]

EMBEDDING = 128


class FaceRecognition:
    """Not for several threads."""

    def __init__(self, network: FaceRecognitionNetwork, landmarks: Landmarks68) -> None:
        self._network, self._landmarks = network, landmarks

    @classmethod
    def load(cls, device: str = "cpu") -> FaceRecognition:
        """Fetches the weights on first use; raises `TransientError` when that fails."""
        return cls(load_face_recognition(device), Landmarks68.load(device))

    def embeddings(self, frames: NDArray[Any], points: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """(n, 128) of frames (n, H, W, 3) uint8 RGB; NaN rows where no face is seen.

        `points` (n, 68, 2) are the landmarks of the same frames where they are known already. Raises `PermanentError`
        for anything but such frames.
        """
        pictures = picture_batch(frames)
        squares = recognition_squares(self._landmarks.points(pictures) if points is None else points)
        crops = crop_all(pictures, squares, self._network.side)
        device = next(self._network.parameters()).device
        found = np.full((len(pictures), EMBEDDING), np.nan)
        if len(crops):
            with torch.inference_mode():
                rows = torch.cat([self._network(batch).cpu() for batch in as_batches(crops, device)])
            found[np.isfinite(squares).all(axis=1)] = rows.double().numpy()
        return found
