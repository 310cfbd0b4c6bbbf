"""LMD: distance between the 68 landmarks that one detector finds in a real and in a generated video, frame by frame.

The variants of the field (yuangan/evaluation_eat, code/test_lmd.py; the order of points is that of iBUG 300-W). Values
in pixels grow with the crop: the paper's 3.8 to 4.2 are thought to be of crops of 256 px. The same detector must have
looked at both videos.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError

__all__ = ["LANDMARK_DISTANCES", "MOUTH", "POINTS", "landmark_distance"]

POINTS = 68
MOUTH = slice(48, 68)
_RIGHT_EYE_CORNER, _LEFT_EYE_CORNER = 36, 45
"""Outer corners, of the subject."""

LANDMARK_DISTANCES = ("lmd_px", "lmd_raw_px", "lmd_mouth_px", "lmd_iod_percent")

Points = NDArray[np.float64]


def landmark_distance(truth: NDArray[Any], made: NDArray[Any]) -> dict[str, float | None]:
    """The landmark distances of one clip, lower is closer. truth, made: (n, 68, 2) pixels, NaN where no face was found.

    `lmd_px`: both faces centred on the mean of their points (F-LMD, the main number); `lmd_raw_px`: as they lie;
    `lmd_mouth_px`: the 20 points of the mouth, centred on their own mean (M-LMD); `lmd_iod_percent`: after the shift,
    turn and scale that bring each frame closest, in percent of the true distance between the outer eye corners. All are
    means over points and over the frames in which both have a face; None without such a frame. Raises `PermanentError`
    for other shapes.
    """
    if truth.shape != made.shape or truth.ndim != 3 or truth.shape[1:] != (POINTS, 2):
        raise PermanentError(f"expected two arrays of landmarks (n, {POINTS}, 2), found {truth.shape} and {made.shape}")
    seen = np.isfinite(truth).all(axis=(1, 2)) & np.isfinite(made).all(axis=(1, 2))
    if not seen.any():
        return dict.fromkeys(LANDMARK_DISTANCES)
    first, second = truth[seen].astype(np.float64), made[seen].astype(np.float64)
    values = (
        _distance(_centred(first), _centred(second)),
        _distance(first, second),
        _distance(_centred(first[:, MOUTH]), _centred(second[:, MOUTH])),
        _aligned_distance(first, second),
    )
    return dict(zip(LANDMARK_DISTANCES, values, strict=True))


def _centred(points: Points) -> Points:
    return np.asarray(points - points.mean(axis=1, keepdims=True))


def _distance(first: Points, second: Points) -> float:
    return float(np.linalg.norm(first - second, axis=2).mean())


def _aligned_distance(first: Points, second: Points) -> float | None:
    """Percent of the eye distance; None where a detector put all points of a frame, or both eyes, on one spot."""
    real, other = _centred(first), _centred(second)
    a, b = real[..., 0] + 1j * real[..., 1], other[..., 0] + 1j * other[..., 1]
    size = np.square(np.abs(b)).sum(axis=1)
    eyes = np.abs(a[:, _RIGHT_EYE_CORNER] - a[:, _LEFT_EYE_CORNER])
    usable = (size > 0) & (eyes > 0)
    if not usable.any():
        return None
    # In complex numbers turn and scale are one factor, which least squares gives in closed form.
    factor = (a * b.conj()).sum(axis=1)[usable] / size[usable]
    error = np.abs(a[usable] - factor[:, None] * b[usable]).mean(axis=1)
    return float((error / eyes[usable]).mean() * 100)
