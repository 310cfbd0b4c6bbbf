"""What the frames of a clip say about how much of its face can be seen: numbers to store, no decisions.

The mesh of a face and the look of its lips come from `faces.visible`, which is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.crop import CropBox

__all__ = ["FaceViewer", "VisibleFace", "seen_scores", "share_outside", "visibility_scores"]

_COVERED = 8.0
"""Contrast of the lips below which those of one frame are taken as covered: over 990 frames of the 22 clips of
../shared/samples the least is 11.2, under masks it is 0."""
_CUT_OFF = 0.05
"""Share of the face beyond the picture's edge from which one frame counts as cut off."""


@dataclass(frozen=True, eq=False)
class VisibleFace:
    """`points` (n, 2): the face's mesh in pixels of the picture, also where the picture does not show it;
    `lips_contrast`: None where the face is too small to say."""

    points: NDArray[np.float32]
    lips_contrast: float | None


FaceViewer = Callable[[NDArray[np.uint8]], VisibleFace | None]
"""A picture uint8 (h, w, 3) to its face, None where no landmarks are sure."""


def visibility_scores(
    views: Sequence[VisibleFace | None], is_there: Sequence[bool], crop: CropBox, side: int, width: int, height: int
) -> dict[str, float | None]:
    """What the viewer found in standardized frames of `side` pixels, cut by `crop` out of pictures of `width` x
    `height`: the share with landmarks, and `seen_scores`. `is_there`: whether the detector sees the face in each."""
    faces = [face for face in views if face is not None]
    contrasts = [face.lips_contrast for face in faces if face.lips_contrast is not None]
    corner = np.array([crop.x, crop.y], np.float32)
    whole = [face.points * np.float32(crop.size / side) + corner for face in faces]
    outside = [share_outside(points, width, height) for points in whole]
    hidden = sum(view is None and there for view, there in zip(views, is_there, strict=True))
    mesh_share = round(len(faces) / len(views), 4) if views else None
    return {"mesh_share": mesh_share} | seen_scores(contrasts, outside, hidden)


def seen_scores(contrasts: Sequence[float], outside: Sequence[float], hidden: int = 0) -> dict[str, float | None]:
    """Of single frames the contrast of the lips, and the share of the mesh beyond the picture's edge: their medians,
    and the shares of the frames whose mouth is covered and whose face is cut off; None where no frame tells.
    `hidden`: frames with a face of which nothing more can be made out, which counts as a covered mouth.

    A median says nothing of what is in the way for less than half of a clip.
    """
    lips, mesh = np.array(contrasts, np.float64), np.array(outside, np.float64)
    covered = int((lips < _COVERED).sum()) + hidden
    return {
        "lips_contrast": round(float(np.median(lips)), 3) if len(lips) else None,
        "covered_share": round(covered / (len(lips) + hidden), 4) if len(lips) + hidden else None,
        "outside_share": round(float(np.median(mesh)), 4) if len(mesh) else None,
        "cut_off_share": round(float(np.mean(mesh > _CUT_OFF)), 4) if len(mesh) else None,
    }


def share_outside(points: NDArray[np.float32], width: int, height: int) -> float:
    """The share of points (n, 2) that lie beyond the edge of a picture."""
    x, y = points.T
    return float(np.mean((x < 0) | (y < 0) | (x >= width) | (y >= height)))
