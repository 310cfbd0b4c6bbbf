"""ARKit coefficients from 468 landmarks without a network: the geometric solver.

The landmarks are brought into the frame of the neutral face by a similarity fit over points that expressions hardly
move. Distances between lips, lids, brows and nose then feed one read-out per channel, linear or through a logistic
curve, fitted once against MediaPipe's coefficients (`scripts/dev/fit_geometric_solver.py`; the table of weights is
package data). Nothing depends on another frame. Channels that the landmarks do not show well enough are NaN, see
`arkit.BLIND_CHANNELS`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from skimage.transform import SimilarityTransform

from magictalk_core.errors import PermanentError
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["FEATURE_NAMES", "FaceFrame", "face_features", "face_frame", "neutral_face", "solve"]

_STABLE = (33, 133, 263, 362, 168, 6, 197, 195, 5, 4, 10, 151, 9, 8, 127, 356, 234, 454, 21, 251, 54, 284, 98, 327)
"""Eye corners, bridge and sides of the nose, middle of the forehead, temples: moved least by expression."""

Points = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FaceFrame:
    """A face in the frame of the neutral one: `points` (468, 3) cm; `rotation` (3, 3) and `scale` (pixels per cm) take
    them back to camera axes (x right, y up, z to the viewer); `centre` (3,) pixels of the neutral origin."""

    points: Points
    rotation: Points
    scale: float
    centre: Points


@cache
def neutral_face() -> Points:
    """(468, 3) cm of the project's neutral face, axes of `arkit`."""
    with resources.files("magictalk_core.faces").joinpath("neutral_face.npz").open("rb") as file:
        neutral: Points = np.load(file)["neutral"]
    return neutral


def face_frame(landmarks: Points) -> FaceFrame:
    """Fit the stable points of picture landmarks (468+, 3) to the neutral face: rotation, scale and place (Umeyama).

    Raises `PermanentError` when these points all lie on one.
    """
    camera = landmarks[:468].astype(np.float64) * [1, -1, -1]
    stable = list(_STABLE)
    fit = SimilarityTransform.from_estimate(neutral_face()[stable].astype(np.float64), camera[stable])
    if not fit:
        raise PermanentError(f"the landmarks of a face lie on one point: {fit}")
    rotation = fit.params[:3, :3] / fit.scale
    points = (camera - fit.translation) @ rotation / fit.scale
    centre = fit.translation.astype(np.float32)
    return FaceFrame(points.astype(np.float32), rotation.astype(np.float32), float(fit.scale), centre)


def _aperture(p: Points, top: tuple[int, ...], bottom: tuple[int, ...], corners: tuple[int, int]) -> float:
    """Eye aspect ratio: mean lid distance over the width of the eye."""
    height = np.mean([np.linalg.norm(p[a] - p[b]) for a, b in zip(top, bottom, strict=True)])
    return float(height / np.linalg.norm(p[corners[0]] - p[corners[1]]))


def _measures(p: Points) -> dict[str, float]:
    x, y, z = p[:, 0], p[:, 1], p[:, 2]
    middle = (y[13] + y[14]) / 2
    lips_z = (z[61] + z[291]) / 2
    return {
        "gap": y[13] - y[14],
        "gap_sides": (y[81] - y[178] + y[311] - y[402]) / 2,
        "lips_height": y[0] - y[17],
        "upper_lip": y[0] - y[13],
        "lower_lip": y[14] - y[17],
        "width": x[291] - x[61],
        "width_inner": x[308] - x[78],
        "gap_over_width": (y[13] - y[14]) / (x[291] - x[61]),
        "corner_left_y": y[291] - middle,
        "corner_right_y": y[61] - middle,
        "corner_left_nose": y[291] - y[2],
        "corner_right_nose": y[61] - y[2],
        "corner_left_x": x[291] - x[1],
        "corner_right_x": x[1] - x[61],
        "mouth_x": (x[0] + x[17]) / 2 - x[1],
        "corners_z": lips_z - z[1],
        "upper_lip_z": z[0] - lips_z,
        "lower_lip_z": z[17] - lips_z,
        "lips_z": z[13] - z[14],
        "upper_left_y": y[270] - y[2],
        "upper_right_y": y[40] - y[2],
        "lower_left_y": y[321] - y[152],
        "lower_right_y": y[91] - y[152],
        "nose_to_lip": y[2] - y[0],
        "chin": y[2] - y[152],
        "chin_to_lip": y[17] - y[152],
        "chin_x": x[152] - x[1],
        "chin_z": z[152] - z[1],
        "eye_left": _aperture(p, (386, 385, 387), (374, 380, 373), (362, 263)),
        "eye_right": _aperture(p, (159, 158, 160), (145, 153, 144), (133, 33)),
        "lid_left_y": y[386] - (y[362] + y[263]) / 2,
        "lid_right_y": y[159] - (y[133] + y[33]) / 2,
        "under_left_y": y[374] - (y[362] + y[263]) / 2,
        "under_right_y": y[145] - (y[133] + y[33]) / 2,
        "brow_inner_left": y[285] - y[362],
        "brow_inner_right": y[55] - y[133],
        "brow_middle_left": y[334] - (y[362] + y[263]) / 2,
        "brow_middle_right": y[105] - (y[133] + y[33]) / 2,
        "brow_outer_left": y[300] - y[263],
        "brow_outer_right": y[70] - y[33],
        "brow_distance": x[285] - x[55],
        "brow_z": (z[285] + z[55]) / 2 - z[168],
        "cheek_left_y": y[425] - y[263],
        "cheek_right_y": y[205] - y[33],
        "cheek_left_z": z[425] - z[1],
        "cheek_right_z": z[205] - z[1],
    }


FEATURE_NAMES: tuple[str, ...] = tuple(_measures(np.ones((468, 3), np.float32) + np.arange(468)[:, None]))


def face_features(frame: FaceFrame) -> NDArray[np.float64]:
    """(len(FEATURE_NAMES),) distances in cm and ratios."""
    return np.array(list(_measures(frame.points).values()), np.float64)


@dataclass(frozen=True, eq=False)
class _Readout:
    """`weights` (features, channels), `offsets` and `logistic` (channels,), `positions` in ARKIT_NAMES."""

    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]
    logistic: NDArray[np.bool_]
    positions: list[int]


@cache
def _readout() -> _Readout:
    file = resources.files("magictalk_core.faces").joinpath("geometric_solver.json")
    channels = json.loads(file.read_text(encoding="utf-8"))["channels"]
    return _Readout(
        np.array([[channel["weights"].get(f, 0.0) for f in FEATURE_NAMES] for channel in channels.values()]).T,
        np.array([channel["offset"] for channel in channels.values()]),
        np.array([channel["link"] == "logistic" for channel in channels.values()]),
        [ARKIT_NAMES.index(name) for name in channels],
    )


def solve(frame: FaceFrame) -> NDArray[np.float32]:
    """(52,) coefficients in ARKIT_NAMES order, in [0, 1]; NaN where the solver is blind."""
    readout = _readout()
    linear = face_features(frame) @ readout.weights + readout.offsets
    values = np.where(readout.logistic, expit(linear), np.clip(linear, 0.0, 1.0))
    coefficients = np.full(len(ARKIT_NAMES), np.nan, np.float32)
    coefficients[readout.positions] = values
    return coefficients
