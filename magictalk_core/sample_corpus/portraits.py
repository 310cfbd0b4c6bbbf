"""Five speakers from one public-domain portrait: brought to rest, reshaped, recoloured, on other backgrounds."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

from magictalk_core.portrait.animator import crop_to_face
from magictalk_core.portrait.neutral import bring_to_rest
from magictalk_core.rig.shapes import mirror_indices

__all__ = ["PORTRAIT_SIZE", "SPEAKERS", "Look", "speaker_portrait"]

PORTRAIT_SIZE = 384
_FACE_SHARE = 2.0
"""Side of the picture over the height of the face."""

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """What makes a speaker. Colours are RGB: `skin` multiplies, `hair` is the colour of its middle grey, `background`
    is plain. `suit` turns the hue of the orange suit (degrees); `stretch` scales the face (x, y), `jaw` widens its
    lower half."""

    mirrored: bool
    skin: Colour
    hair: Colour | None
    suit: float
    background: Colour
    stretch: tuple[float, float]
    jaw: float


SPEAKERS: dict[str, Look] = {
    "M901": Look(True, (0.86, 0.76, 0.68), (58, 44, 36), 205, (96, 116, 104), (1.03, 0.98), 0.07),
    "M902": Look(False, (0.96, 0.95, 0.97), (150, 148, 150), 170, (206, 196, 176), (1.0, 1.08), 0.06),
    "W901": Look(False, (1.0, 1.0, 1.0), None, 0, (176, 186, 198), (1.0, 1.0), 0.0),
    "W902": Look(True, (1.03, 0.97, 0.92), (150, 74, 42), 260, (70, 98, 118), (0.97, 1.05), -0.06),
    "W903": Look(True, (0.70, 0.56, 0.47), (40, 34, 34), 100, (190, 168, 150), (0.93, 1.0), -0.03),
}


def _crop() -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
    """Picture, mattes (person, hair, 0) and landmarks of the face crop, from `astronaut.npz`."""
    with resources.files("magictalk_core.sample_corpus").joinpath("astronaut.npz").open("rb") as file:
        known = np.load(file)
        landmarks, person, hair = known["landmarks"], known["person"], known["hair"]
    whole = skimage.data.astronaut()
    mattes = np.zeros_like(whole)
    mattes[: len(person), :, 0], mattes[: len(hair), :, 1] = person, hair
    picture, points = crop_to_face(whole, landmarks, PORTRAIT_SIZE, _FACE_SHARE)
    return picture, crop_to_face(mattes, landmarks, PORTRAIT_SIZE, _FACE_SHARE)[0], points


def _reshape(
    layers: list[NDArray[np.uint8]], points: NDArray[np.float32], look: Look
) -> tuple[list[NDArray[np.uint8]], NDArray[np.float32]]:
    """Stretch about the face's centre, and widen what lies below the eyes; the landmarks go along."""
    centre = points[:, :2].mean(axis=0)
    eyes, chin = float(points[[33, 263], 1].mean()), float(points[152, 1])

    def widen(y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Horizontal factor at a height of the source: a bump between eyes and below the chin."""
        t = np.clip((y - eyes) / (chin - eyes), 0, 1.6)
        return 1 + look.jaw * np.sin(t / 1.6 * np.pi) ** 2

    y, x = np.mgrid[0:PORTRAIT_SIZE, 0:PORTRAIT_SIZE].astype(np.float64)
    source_y = centre[1] + (y - centre[1]) / look.stretch[1]
    source_x = centre[0] + (x - centre[0]) / (look.stretch[0] * widen(source_y))
    maps = source_x.astype(np.float32), source_y.astype(np.float32)
    shaped = [
        np.asarray(cv2.remap(layer, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
        for layer in layers
    ]
    moved = points.copy()
    moved[:, 1] = centre[1] + (points[:, 1] - centre[1]) * look.stretch[1]
    factor = look.stretch[0] * widen(points[:, 1].astype(np.float64))
    moved[:, 0] = centre[0] + (points[:, 0] - centre[0]) * factor
    return shaped, moved


def _recolour(picture: NDArray[np.uint8], mattes: NDArray[np.uint8], chin: float, look: Look) -> NDArray[np.uint8]:
    """Skin, hair, suit and background of the look."""
    person, hair = mattes[..., :1] / np.float32(255), mattes[..., 1:2] / np.float32(255)
    values = picture.astype(np.float32)
    result = values * np.array(look.skin, np.float32)
    if look.hair is not None:
        # Lights and darks of the hair stay, around the new colour.
        grey = values.mean(axis=2, keepdims=True) / 112.0
        result += hair * (grey * np.array(look.hair, np.float32) + 10 * grey**2 - result)
    if look.suit:
        hsv = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        suit = ((hsv[..., 0] < 25) | (hsv[..., 0] > 340)) & (np.arange(PORTRAIT_SIZE)[:, None] > chin)
        orange = np.clip((hsv[..., 1] - 0.6) / 0.15, 0, 1) * suit
        hsv[..., 0] = (hsv[..., 0] + look.suit) % 360
        hsv[..., 1] *= 0.6
        turned = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255 * 0.8
        result += orange[..., None].astype(np.float32) * (turned - result)
    light = np.linspace(1.06, 0.86, PORTRAIT_SIZE, dtype=np.float32)[:, None, None]
    behind = np.array(look.background, np.float32) * light
    return np.asarray(np.clip(person * result + (1 - person) * behind, 0, 255), np.uint8)


def speaker_portrait(speaker: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Picture (384, 384, 3) with a face at rest, and landmarks (468, 3) of a speaker."""
    look = SPEAKERS[speaker]
    smiling, mattes, points = _crop()
    resting = bring_to_rest(smiling, points)
    picture, points = resting.picture, resting.landmarks
    (picture, mattes), points = _reshape([picture, mattes], points, look)
    picture = _recolour(picture, mattes, float(points[152, 1]), look)
    if look.mirrored:
        picture = np.ascontiguousarray(picture[:, ::-1])
        points = np.asarray(points[mirror_indices()] * [-1, 1, 1] + [PORTRAIT_SIZE, 0, 0], np.float32)
    return picture, points
