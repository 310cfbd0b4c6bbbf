"""Head pose from landmarks by a rigid fit to MediaPipe's canonical face: its facial transformation matrix.

The algorithm of MediaPipe's face geometry module (`ScreenToMetricSpaceConverter`): landmarks are taken to a pinhole
camera of 63 degrees in two rounds, since the depth of a landmark is known up to the scale of the face only; then the
canonical face is fitted to them by a weighted Procrustes solution over 33 points that expressions hardly move.

No library fits many faces at once: scipy's `Rotation.align_vectors` has weights but no scale, and takes 12 ms for 50
faces where this takes 0.25 ms; scikit-image's `SimilarityTransform` has no weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from magictalk_core.faces.head_pose import VERTICAL_FOV_DEG, angles_of
from magictalk_core.faces.mesh import LANDMARKS
from magictalk_core.weights.wire import fields

__all__ = ["CanonicalFace", "head_poses_of", "parse_geometry_metadata"]

_VERTEX_FLOATS = 5
_MESH, _BASIS = 1, 2
_VERTEX_BUFFER = 3
_LANDMARK_ID, _WEIGHT = 1, 2


Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CanonicalFace:
    """The points of the fit: `landmarks` (n,) indices, `weights` (n,) adding up to 1, `mean` (3,) of the canonical
    points in cm, `points` (n, 3) around it, times their weights, and their weighted variance `spread`."""

    landmarks: NDArray[np.int64]
    weights: NDArray[np.float64]
    mean: NDArray[np.float64]
    points: NDArray[np.float64]
    spread: float


def _floats(values: Iterable[int | memoryview]) -> NDArray[np.float32]:
    """Repeated floats, packed or one by one."""
    return np.frombuffer(b"".join(bytes(v) for v in values if not isinstance(v, int)), "<f4")


def parse_geometry_metadata(content: bytes) -> CanonicalFace:
    """The member `geometry_pipeline_metadata_landmarks.binarypb` of `face_landmarker.task`."""
    message = list(fields(content))
    mesh = next(value for number, value in message if number == _MESH and not isinstance(value, int))
    vertices = _floats(value for number, value in fields(mesh) if number == _VERTEX_BUFFER)
    basis = [dict(fields(value)) for number, value in message if number == _BASIS and not isinstance(value, int)]
    # A field that holds zero is left out of the file.
    landmarks = np.array([int(entry.get(_LANDMARK_ID, 0)) for entry in basis], np.int64)
    weights = np.array([_floats([entry[_WEIGHT]])[0] for entry in basis], np.float64)
    points = vertices.reshape(-1, _VERTEX_FLOATS)[landmarks, :3].astype(np.float64)
    weights /= weights.sum()
    mean = weights @ points
    centred = points - mean
    weighted = weights[:, None] * centred
    return CanonicalFace(landmarks, weights, mean, weighted, float((weighted * centred).sum()))


def _covariance(face: CanonicalFace, target: Points) -> tuple[Points, Points]:
    """Covariance (b, 3, 3) of `target` (b, n, 3) with the canonical points, and its weighted mean (b, 3)."""
    mean = np.einsum("n,bnk->bk", face.weights, target)
    return np.einsum("bnj,nk->bjk", target - mean[:, None], face.points), mean


def _fit_scale(face: CanonicalFace, target: Points) -> Points:
    """(b, 1, 1) scales that take the canonical points nearest to `target` (b, n, 3)."""
    covariance, _ = _covariance(face, target)
    values = np.linalg.svd(covariance, compute_uv=False)
    values[:, 2] *= np.sign(np.linalg.det(covariance))
    return np.asarray(values.sum(axis=1) / face.spread)[:, None, None]


def _fit(face: CanonicalFace, target: Points) -> tuple[Points, Points]:
    """Rotations (b, 3, 3) and translations (b, 3) that, with scales, take the canonical points nearest to `target`."""
    covariance, mean = _covariance(face, target)
    u, _, vt = np.linalg.svd(covariance)
    u[:, :, 2] *= np.sign(np.linalg.det(u) * np.linalg.det(vt))[:, None]
    rotation = u @ vt
    scale = (rotation * covariance).sum(axis=(1, 2)) / face.spread
    return rotation, mean - scale[:, None] * (rotation @ face.mean)


def head_poses_of(landmarks: NDArray[np.float32], face: CanonicalFace, width: int, height: int) -> NDArray[np.float32]:
    """(b, 6) poses in POSE_NAMES order of picture landmarks (b, 468+, 3) in pixels, as `faces.arkit` states them.

    Of many faces at once: one face costs as much as fifty.
    """
    near = 2 * math.tan(math.radians(VERTICAL_FOV_DEG) / 2) / height
    depth = landmarks[:, :LANDMARKS, 2].mean(axis=1, dtype=np.float64)[:, None] * near
    seen = landmarks[:, face.landmarks].astype(np.float64)
    # On the camera's near plane, one centimetre away; the landmarks' z grows away from the camera.
    x, y, z = (seen[..., 0] - width / 2) * near, (height / 2 - seen[..., 1]) * near, seen[..., 2] * near
    distance = z - depth + 1.0
    metric = np.stack([x * distance, y * distance, -distance], axis=-1)
    scale = _fit_scale(face, np.stack([x, y, -z], axis=-1))
    scale = scale * _fit_scale(face, metric / scale)
    rotation, translation = _fit(face, metric / scale)
    return np.concatenate([angles_of(Rotation.from_matrix(rotation)), translation], axis=1).astype(np.float32)
