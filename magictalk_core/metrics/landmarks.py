"""Landmark distance between two motions, measured on the project's rig instead of on detected landmarks.

Both motions pose the same rig; its 468 face points are projected by the frontal camera of the renderer to a picture of
256 x 256 and compared point by point. No landmark detector sees a generated video here, so the numbers carry `rig` in
their names and are not comparable with the LMD of papers: they share its definition (Euclidean distance, mean over
points and frames, px at 256) but neither its detector noise nor the true face.

The mouth is compared in the head's own frame. A model is free in how it holds the head, and lips seen from the side are
narrower: with the pose, a mouth that never moves on a head that never turns came out nearer to the real one than a
speaking one on a head that does.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.faces.mesh import LANDMARKS, LIPS_INNER, LIPS_OUTER
from magictalk_core.metrics.motion import columns, paired
from magictalk_core.rig.render import project
from magictalk_core.vocabulary.arkit import MOTION_NAMES, POSE_NAMES

__all__ = ["FACE_POINTS", "PosableRig", "landmark_distances"]

FACE_POINTS = LANDMARKS
"""The first vertices of the rig are the points of the MediaPipe face mesh."""

_SIZE = 256
_EYE_CORNERS = (33, 263)  # outer corners of the subject's right and left eye in the face mesh
_MOUTH = sorted({*LIPS_INNER, *LIPS_OUTER})

Points = NDArray[np.float64]


class PosableRig(Protocol):
    """What the metric needs of a rig: neutral vertices (v, 3) in cm, and the first `points` of them posed by each of
    the rows (n, 58) of a motion: (n, points, 3)."""

    @property
    def neutral(self) -> NDArray[np.float32]: ...

    def poses(self, motion: NDArray[np.float32], points: int) -> NDArray[np.float32]: ...


def _posed(rig: PosableRig, motion: NDArray[np.float64]) -> Points:
    """Face points of every frame, (frames, 468, 2); NaN stands for the rest position of a channel."""
    posed = rig.poses(np.nan_to_num(motion, nan=0.0).astype(np.float32), FACE_POINTS)
    return project(posed.reshape(-1, 3), _SIZE).reshape(len(posed), FACE_POINTS, 2)


def _ahead(rig: PosableRig, motion: NDArray[np.float64]) -> Points:
    """`_posed` of a head that looks straight into the camera."""
    still = motion.copy()
    still[:, columns(POSE_NAMES)] = 0.0
    return _posed(rig, still)


def _centred(points: Points) -> Points:
    centred: Points = points - points.mean(axis=1, keepdims=True)
    return centred


def _distance(first: Points, second: Points) -> float:
    return float(np.linalg.norm(first - second, axis=2).mean())


def _aligned(first: Points, second: Points) -> Points:
    """`second`, centred, after the turn and scale that bring each frame closest to `first`, centred."""
    a, b = first[..., 0] + 1j * first[..., 1], second[..., 0] + 1j * second[..., 1]
    # In complex numbers turn and scale are one factor; least squares gives it in closed form.
    factor = (a * b.conj()).sum(axis=1) / (np.abs(b) ** 2).sum(axis=1)
    moved = b * factor[:, None]
    return np.stack([moved.real, moved.imag], axis=2)


def landmark_distances(truth: NDArray[Any], generated: NDArray[Any], rig: PosableRig) -> dict[str, float | None]:
    """The landmark distances of the catalogue, by metric name. Both motions have shape (frames, 58).

    A channel that is not measured on one side rests on both, so that a blind tracker costs nothing; frames without any
    measured coefficient do not count, and without such frames every value is None.
    """
    first, second = paired(truth, generated)
    pose = columns(POSE_NAMES)
    coefficients = [i for i in range(len(MOTION_NAMES)) if i not in pose]
    seen = np.isfinite(first[:, coefficients]).any(axis=1)
    names = ("lmd_rig_px256", "lmd_rig_mouth_px256", "lmd_rig_iod_percent", "lmd_rig_truth_pose_px256")
    if not seen.any():
        return dict.fromkeys(names)
    if len(rig.neutral) < FACE_POINTS:
        raise PermanentError(
            f"the rig has {len(rig.neutral)} vertices: expected the {FACE_POINTS} face mesh points first; "
            "score with the built-in rig"
        )
    first, second = first[seen], second[seen]
    same_pose = second.copy()
    same_pose[:, pose] = first[:, pose]
    real, made, made_same_pose = _posed(rig, first), _posed(rig, second), _posed(rig, same_pose)
    real_mouth, made_mouth = (_centred(_ahead(rig, motion)[:, _MOUTH]) for motion in (first, second))
    real_centred, made_centred = _centred(real), _centred(made)
    eyes = np.linalg.norm(real[:, _EYE_CORNERS[0]] - real[:, _EYE_CORNERS[1]], axis=1)
    aligned = np.linalg.norm(real_centred - _aligned(real_centred, made_centred), axis=2).mean(axis=1)
    values = (
        _distance(real_centred, made_centred),
        _distance(real_mouth, made_mouth),
        float((aligned / eyes).mean() * 100.0),
        _distance(real_centred, _centred(made_same_pose)),
    )
    return dict(zip(names, values, strict=True))
