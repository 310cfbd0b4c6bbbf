"""The 68 landmarks of iBUG 300-W on pictures, by the landmark network of face-api: what LMD compares.

On 20 pictures of five real speakers, a portrait and the project's own speakers, 17 to 68 lie on average 3.1 % of the
distance between the outer eye corners from MediaPipe's points of the same name, at most 4 %; the face outline, which
the two define differently, 8 %. A square of 1.2 times the detected face is where that is least and changes least with
the square.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.judges.face_api_networks import FaceProcessor, load_face_processor
from magictalk_core.judges.face_crops import FaceFinder, crop_all
from magictalk_core.judges.published import as_batches
from magictalk_core.metrics.picture_landmarks import MOUTH, POINTS
from magictalk_core.metrics.pictures import picture_batch

__all__ = ["Landmarks68", "expression_squares", "recognition_squares"]

_SCALE, _LOWER = 1.2, 0.03

Points = NDArray[np.float64]


class Landmarks68:
    """Finds the points. Not for several threads."""

    def __init__(self, network: FaceProcessor, finder: FaceFinder) -> None:
        self._network, self._finder = network, finder

    @classmethod
    def load(cls, device: str = "cpu") -> Landmarks68:
        """Fetches the weights on first use; raises `TransientError` when that fails."""
        return cls(load_face_processor("face_landmark_68", 2 * POINTS, device), FaceFinder.load())

    def points(self, frames: NDArray[Any]) -> Points:
        """(n, 68, 2) pixels (x, y) of frames (n, H, W, 3) uint8 RGB; NaN where no face is seen.

        Raises `PermanentError` for anything but such frames.
        """
        pictures = picture_batch(frames)
        squares = self._finder.squares(pictures, _SCALE, _LOWER)
        crops = crop_all(pictures, squares, self._network.side)
        device = next(self._network.parameters()).device
        found = np.full((len(pictures), POINTS, 2), np.nan)
        seen = np.isfinite(squares).all(axis=1)
        if not seen.any():
            return found
        with torch.inference_mode():
            places = torch.cat([self._network(batch).cpu() for batch in as_batches(crops, device)])
        x, y, side = (squares[seen][:, i, None] for i in range(3))
        shares = places.double().numpy().reshape(-1, POINTS, 2)
        found[seen, :, 0] = x + (shares[..., 0] - 0.5) * side
        found[seen, :, 1] = y + (shares[..., 1] - 0.5) * side
        return found


def expression_squares(points: Points) -> NDArray[np.float64]:
    """(n, 3) squares around landmarks (n, 68, 2): their box and a fifth of its longer side, as face-api takes it
    before it reads an expression."""
    _must_be_points(points)
    low, high = points.min(axis=1), points.max(axis=1)
    return np.column_stack([(low + high) / 2, 1.2 * (high - low).max(axis=1)])


def recognition_squares(points: Points) -> NDArray[np.float64]:
    """(n, 3) squares around landmarks (n, 68, 2) as dlib and face-api align a face before they recognise it: eyes and
    mouth at fixed places of the square."""
    _must_be_points(points)
    eyes = [points[:, eye].mean(axis=1) for eye in (slice(36, 42), slice(42, 48))]
    mouth = points[:, MOUTH].mean(axis=1)
    side = sum(np.linalg.norm(mouth - eye, axis=1) for eye in eyes) / 2 / 0.45
    middle = (eyes[0] + eyes[1] + mouth) / 3
    return np.column_stack([middle[:, 0], middle[:, 1] + (0.5 - 0.43) * side, side])


def _must_be_points(points: Points) -> None:
    if points.ndim != 3 or points.shape[1:] != (POINTS, 2):
        raise PermanentError(f"expected landmarks (n, {POINTS}, 2), found {points.shape}")
