"""What colours the inside of a mouth has in a picture: read from its eyes, its lips and its skin.

The white of the eye is the one thing of a face that is as white as teeth, and lit by the same light: in a painting it
is muted, in a sketch grey, in marble marble, and so are the teeth.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.mesh import LEFT_EYE, RIGHT_EYE
from magictalk_core.portrait.lip_points import LOWER_LIP_ROWS, UPPER_LIP_ROWS

__all__ = ["Palette", "read_palette"]

Colour = NDArray[np.float64]
_CHEEKS = (50, 101, 118, 205, 280, 330, 347, 425, 9, 151)
_IVORY = np.array([1.02, 1.0, 0.93])
_MOST_LIGHT = 232.0


@dataclass(frozen=True, eq=False)
class Palette:
    """Colours (3,) 0..255: `teeth` in full light, `gums`, `tongue`, and the `cavity` behind them."""

    teeth: Colour
    gums: Colour
    tongue: Colour
    cavity: Colour


def read_palette(picture: NDArray[np.uint8], landmarks: NDArray[np.float32], teeth: Colour | None = None) -> Palette:
    """Of a portrait (h, w, 3) with landmarks (468, 3); `teeth` where the person showed them."""
    lips = _median(picture, landmarks, [*UPPER_LIP_ROWS[1], *LOWER_LIP_ROWS[1]])
    skin = _median(picture, landmarks, list(_CHEEKS))
    white = _white_of_the_eyes(picture, landmarks)
    if teeth is None:
        light = min(_MOST_LIGHT, 0.65 * max(white.mean(), skin.mean()) + 0.65 * max(skin.mean(), 0.8 * white.mean()))
        cast = white / max(white.mean(), 1.0)
        # As much ivory as the picture has colour: none in a grey one.
        colourful = float(np.clip(np.ptp(skin) / 60.0, 0.0, 1.0))
        teeth = light * (0.5 + 0.5 * cast) * (1 + (_IVORY - 1) * colourful)
    else:
        teeth = teeth * min(1.08, _MOST_LIGHT / max(teeth.mean(), 1.0))
    flesh = 0.75 * lips + 0.25 * skin
    return Palette(np.clip(teeth, 0, 245), flesh * 0.86, flesh * 0.8, lips * 0.2)


def _median(picture: NDArray[np.uint8], landmarks: NDArray[np.float32], indices: list[int]) -> Colour:
    places = landmarks[indices, :2].astype(np.float32)
    values = cv2.remap(picture, places[:, 0], places[:, 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.median(values.reshape(-1, 3).astype(np.float64), axis=0))


def _white_of_the_eyes(picture: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Colour:
    """The lighter part of what lies between the lids, highlights left out."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    for loop in (LEFT_EYE, RIGHT_EYE):
        cv2.fillPoly(mask, [np.round(landmarks[list(loop), :2]).astype(np.int32)], 1)
    inside = picture[mask > 0].astype(np.float64)
    if len(inside) < 12:
        return _median(picture, landmarks, list(_CHEEKS))
    light = inside.mean(axis=1)
    low, high = np.percentile(light, (68, 92))
    return np.asarray(inside[(light >= low) & (light <= high)].mean(axis=0))
