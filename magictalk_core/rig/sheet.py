"""One picture that shows what a rig can do: its neutral face, expressions, single shapes and turns of the head."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.rig.render import RigRenderer
from magictalk_core.rig.rig import Rig
from magictalk_core.vocabulary.arkit import MOTION_NAMES

__all__ = ["EXPRESSIONS", "SHOWN", "motion_row", "rig_sheet"]

SHOWN: dict[str, Mapping[str, float]] = {
    "neutral": {},
    "happy": {"mouthSmile": 1.0, "cheekSquint": 0.8, "eyeSquint": 0.4, "mouthStretch": 0.3, "mouthUpperUp": 0.5,
              "jawOpen": 0.1},
    "angry": {"browDown": 1.0, "noseSneer": 0.7, "eyeWide": 0.3, "mouthUpperUp": 0.3, "mouthLowerDown": 0.4,
              "mouthStretch": 0.2, "mouthFrown": 0.3, "jawOpen": 0.1},
    "sad": {"browInnerUp": 0.9, "browDown": 0.3, "mouthFrown": 1.0, "mouthShrugLower": 0.6, "eyeLookDown": 0.3,
            "eyeSquint": 0.3},
    "fear": {"browInnerUp": 0.9, "browDown": 0.6, "eyeWide": 0.7, "mouthStretch": 1.0, "mouthFrown": 0.3,
             "mouthLowerDown": 0.5, "mouthUpperUp": 0.2, "jawOpen": 0.05},
    "surprised": {"browInnerUp": 0.8, "browOuterUp": 0.9, "eyeWide": 0.7, "jawOpen": 0.4, "mouthFunnel": 0.2},
    "disgusted": {"noseSneer": 1.0, "mouthUpperUp": 0.9, "browDown": 0.4, "eyeSquint": 0.7, "cheekSquint": 0.8,
                  "mouthShrugLower": 0.3, "mouthFrown": 0.5},
    "jawOpen": {"jawOpen": 0.8},
    "mouthPucker": {"mouthPucker": 0.9},
    "mouthFunnel": {"mouthFunnel": 0.9, "jawOpen": 0.2},
    "eyeBlink": {"eyeBlink": 1.0},
    "looks left": {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0},
    "looks up": {"eyeLookUp": 1.0},
    "tongueOut": {"tongueOut": 1.0, "jawOpen": 0.35},
    "turned": {"head_yaw_deg": 35.0},
    "from the side": {"head_yaw_deg": 80.0, "jawOpen": 0.2},
}  # fmt: skip
"""Titles and what is moved; a name without a side moves both. The six expressions are Ekman's prototypes as an actor
gives them, of several tried for each the one that judges saw best (decision 024)."""
EXPRESSIONS = ("happy", "angry", "sad", "fear", "surprised", "disgusted")
_COLUMNS = 4


def motion_row(weights: Mapping[str, float]) -> NDArray[np.float32]:
    """A motion row (58,) of shapes and angles by name; a name without a side sets both."""
    row = np.zeros(len(MOTION_NAMES), np.float32)
    for name, value in weights.items():
        for each in [name] if name in MOTION_NAMES else [f"{name}Left", f"{name}Right"]:
            row[MOTION_NAMES.index(each)] = value
    return row


def rig_sheet(rig: Rig, size: int = 256) -> NDArray[np.uint8]:
    """All of `SHOWN` in rows of four, RGB, with titles."""
    renderer = RigRenderer(rig, size)
    try:
        pictures = [_titled(renderer.frame(motion_row(moved)), title) for title, moved in SHOWN.items()]
    finally:
        renderer.close()
    rows = [np.concatenate(pictures[i : i + _COLUMNS], axis=1) for i in range(0, len(pictures), _COLUMNS)]
    return np.concatenate(rows)


def _titled(picture: NDArray[np.uint8], title: str) -> NDArray[np.uint8]:
    scale = picture.shape[0] / 560
    place = (round(8 * scale) + 2, round(34 * scale))
    cv2.putText(picture, title, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 90), 1, cv2.LINE_AA)
    return picture
