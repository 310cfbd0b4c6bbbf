"""Five speakers from one public-domain portrait: mirrored, recoloured, reshaped, on other backgrounds."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from magictalk_core.faces.arkit import MOTION_NAMES
from magictalk_core.portrait.animator import crop_to_face
from magictalk_core.rig.shapes import mirror_indices

__all__ = ["PORTRAIT_SIZE", "REFERENCE", "SPEAKERS", "speaker_portrait"]

PORTRAIT_SIZE = 384
_FACE_SHARE = 2.3


@dataclass(frozen=True)
class Look:
    """What makes a speaker: `tone` multiplies RGB, `stretch` widens (x, y), `jaw` widens the lower face."""

    mirrored: bool
    tone: tuple[float, float, float]
    stretch: tuple[float, float]
    jaw: float
    saturation: float


SPEAKERS: dict[str, Look] = {
    "M901": Look(True, (0.80, 0.74, 0.70), (1.05, 1.0), 0.08, 0.8),
    "M902": Look(False, (0.72, 0.78, 0.88), (1.0, 1.07), 0.05, 0.55),
    "W901": Look(False, (1.0, 1.0, 1.0), (1.0, 1.0), 0.0, 1.0),
    "W902": Look(True, (1.04, 0.95, 0.86), (0.97, 1.04), -0.05, 1.25),
    "W903": Look(True, (0.92, 1.0, 0.94), (0.94, 1.0), -0.02, 0.9),
}

_EXPRESSION = {
    "jawOpen": 0.1, "mouthSmileLeft": 0.95, "mouthSmileRight": 0.95, "mouthUpperUpLeft": 0.8, "mouthUpperUpRight": 0.8,
    "mouthLowerDownLeft": 0.55, "mouthLowerDownRight": 0.55, "cheekSquintLeft": 0.3, "cheekSquintRight": 0.3,
    "eyeBlinkLeft": 0.12, "eyeBlinkRight": 0.12,
}  # fmt: skip
REFERENCE: NDArray[np.float32] = np.array([_EXPRESSION.get(n, 0.0) for n in MOTION_NAMES], np.float32)
"""The astronaut smiles: her expression, which relative motion takes away."""


def _landmarks() -> NDArray[np.float32]:
    """(468, 3) landmarks of `skimage.data.astronaut()`, made once by the project's tracker."""
    with resources.files("magictalk_core.corpora.sample").joinpath("astronaut_landmarks.npy").open("rb") as file:
        points: NDArray[np.float32] = np.load(file)
    return points


def _recolour(picture: NDArray[np.uint8], look: Look) -> NDArray[np.uint8]:
    values = picture.astype(np.float32)
    grey = values.mean(axis=2, keepdims=True)
    toned = (grey + (values - grey) * look.saturation) * np.array(look.tone, np.float32)
    return np.asarray(np.clip(toned, 0, 255), np.uint8)


def _reshape(
    picture: NDArray[np.uint8], points: NDArray[np.float32], look: Look
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Stretch about the face's centre, and widen what lies below the eyes; the landmarks go along."""
    size = len(picture)
    centre = points[:, :2].mean(axis=0)
    eyes, chin = float(points[[33, 263], 1].mean()), float(points[152, 1])

    def widen(y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Horizontal factor at a height of the source: a bump between eyes and chin."""
        t = np.clip((y - eyes) / (chin - eyes), 0, 1.6)
        return 1 + look.jaw * np.sin(np.clip(t / 1.6, 0, 1) * np.pi) ** 2

    y, x = np.mgrid[0:size, 0:size].astype(np.float64)
    source_y = centre[1] + (y - centre[1]) / look.stretch[1]
    source_x = centre[0] + (x - centre[0]) / (look.stretch[0] * widen(source_y))
    shaped = cv2.remap(
        picture,
        source_x.astype(np.float32),
        source_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    moved = points.copy()
    moved[:, 1] = centre[1] + (points[:, 1] - centre[1]) * look.stretch[1]
    factor = look.stretch[0] * widen(points[:, 1].astype(np.float64))
    moved[:, 0] = centre[0] + (points[:, 0] - centre[0]) * factor
    return np.asarray(shaped, np.uint8), moved


def speaker_portrait(speaker: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Picture (384, 384, 3) and landmarks (468, 3) of a speaker."""
    look = SPEAKERS[speaker]
    picture, points = crop_to_face(skimage.data.astronaut(), _landmarks(), PORTRAIT_SIZE, _FACE_SHARE)
    picture, points = _reshape(picture, points, look)
    if look.mirrored:
        picture = np.ascontiguousarray(picture[:, ::-1])
        points = points[mirror_indices()] * np.array([-1, 1, 1], np.float32)
        points[:, 0] += PORTRAIT_SIZE
    return _recolour(picture, look), points
