"""Landmarks of still portraits, with weights that a package index carries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.face_mesh import load_face_mesh

__all__ = ["portrait_landmarks"]


def portrait_landmarks(rgb: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """(468, 3) pixels of the face that the picture (h, w, 3) is about, or None without a face."""
    result = load_face_mesh().find(rgb)
    return None if result is None else result.landmarks
