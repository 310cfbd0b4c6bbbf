"""Topology of the 468-point face mesh: triangles, and the loops of landmarks around lips, eyes and face.

Derived from the edge lists of the mediapipe wheel by `scripts/dev/derive_face_mesh.py`. Triangles are counter-clockwise
seen from the front and leave holes at the eyes and between the lips. Left and right are the subject's own.
"""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "FACE_OVAL",
    "LANDMARKS",
    "LEFT_BROW",
    "LEFT_EYE",
    "LIPS_INNER",
    "LIPS_OUTER",
    "RIGHT_BROW",
    "RIGHT_EYE",
    "TRIANGLES",
]

_TOPOLOGY: dict[str, list[int]] = json.loads(
    resources.files("magictalk_core.faces").joinpath("face_mesh_topology.json").read_text(encoding="utf-8")
)

LANDMARKS = 468
TRIANGLES: NDArray[np.int32] = np.array(_TOPOLOGY["triangles"], np.int32)
LIPS_OUTER = tuple(_TOPOLOGY["lips_outer"])
LIPS_INNER = tuple(_TOPOLOGY["lips_inner"])
LEFT_EYE = tuple(_TOPOLOGY["left_eye"])
RIGHT_EYE = tuple(_TOPOLOGY["right_eye"])
FACE_OVAL = tuple(_TOPOLOGY["face_oval"])
LEFT_BROW = tuple(_TOPOLOGY["left_brow"])
RIGHT_BROW = tuple(_TOPOLOGY["right_brow"])
