"""From what the estimator says to keypoints, and from a driving's motion to the source's (reference/models.md 5.2).

Keypoints are column vectors: x = R x_canonical + t + delta, in -1..1 with x right, y down and z away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.models.facevid2vid.blocks import at_least_single
from magictalk_core.models.facevid2vid.estimator import HeadMotion

__all__ = [
    "Pose",
    "RotationOrder",
    "degrees",
    "movement_scale",
    "place",
    "pose_aware",
    "pose_of",
    "relative",
    "rotation",
]

RotationOrder = Literal["pitch_yaw_roll", "roll_pitch_yaw"]

_BIN = 3.0
"""Degrees of a class."""


@dataclass(frozen=True)
class Pose:
    """Of B heads: `rotation` (B, 3, 3), `translation` (B, 3), `expression` (B, K, 3)."""

    rotation: Tensor
    translation: Tensor
    expression: Tensor


def degrees(logits: Tensor) -> Tensor:
    """(B, bins) logits of angle classes to (B,) degrees: the classes' expectation, -99 to 96 with 66 of them."""
    shares = torch.softmax(at_least_single(logits), dim=-1)
    classes = torch.arange(logits.shape[-1], dtype=shares.dtype, device=shares.device)
    return (shares * classes).sum(-1) * _BIN - _BIN * logits.shape[-1] / 2


def rotation(yaw: Tensor, pitch: Tensor, roll: Tensor, order: RotationOrder = "pitch_yaw_roll") -> Tensor:
    """Angles (B,) in degrees to matrices (B, 3, 3).

    `pitch_yaw_roll` is R_x(pitch) R_y(yaw) R_z(roll); `roll_pitch_yaw` is R_x(roll) R_y(pitch) R_z(yaw), as the beta
    weights were trained. With pi as it is: the public code's 3.14 is off by 0.05 degrees at most.
    """
    x, y, z = (pitch, yaw, roll) if order == "pitch_yaw_roll" else (roll, pitch, yaw)
    return _about(x, 0) @ _about(y, 1) @ _about(z, 2)


def _about(angle: Tensor, axis: int) -> Tensor:
    radians = angle * (math.pi / 180)
    cosine, sine = torch.cos(radians), torch.sin(radians)
    matrix = torch.zeros(*angle.shape, 3, 3, dtype=angle.dtype, device=angle.device)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[..., axis, axis] = 1
    matrix[..., first, first] = matrix[..., second, second] = cosine
    matrix[..., first, second] = -sine
    matrix[..., second, first] = sine
    return matrix


def pose_of(motion: HeadMotion, order: RotationOrder = "pitch_yaw_roll") -> Pose:
    """What the estimator says, never in half precision, with matrices for its angles."""
    matrix = rotation(degrees(motion.yaw), degrees(motion.pitch), degrees(motion.roll), order)
    return Pose(matrix, at_least_single(motion.translation), at_least_single(motion.expression))


def place(canonical: Tensor, pose: Pose) -> Tensor:
    """Canonical keypoints (B or 1, K, 3) to where a pose and an expression have them, (B, K, 3)."""
    turned = canonical.to(pose.rotation.dtype) @ pose.rotation.transpose(-1, -2)
    return turned + pose.translation[:, None, :] + pose.expression


def relative(source: Tensor, driving: Tensor, initial: Tensor, scale: float = 1.0) -> Tensor:
    """Where the source's keypoints go when they move as the driving's did since `initial`, all (B or 1, K, 3).

    All three are placed from the canonical keypoints of the **source**. `scale` is of `movement_scale`.
    """
    return source + scale * (driving - initial)


def movement_scale(source: Tensor, initial: Tensor) -> float:
    """sqrt of the source's hull volume over sqrt of the initial driving's, keypoints (1, K, 3): "adapt scale".

    Raises `PermanentError` where keypoints lie in one plane and have no hull.
    """
    try:
        first, second = (ConvexHull(one[0].detach().cpu().double().numpy()).volume for one in (source, initial))
    except (QhullError, ValueError) as error:
        count = source.shape[1]
        raise PermanentError(
            f"adapt-scale: the {count} keypoints of this face span no volume; render without it"
        ) from error
    return float(np.sqrt(first / second))


def pose_aware(canonical: Tensor, source: Pose, driving: Pose, initial: Pose) -> Tensor:
    """As `relative`, with turning composed rather than subtracted: (B, K, 3). Better where the source looks aside.

    The driving's turn since `initial` is done in the head's own axes, before the source's own pose; nothing moves in
    depth, since the estimator's depth is no measurement (KwaiVGI/LivePortrait:src/live_portrait_pipeline.py, whose
    matrices stand to the right of row vectors).
    """
    turned = source.rotation @ initial.rotation.transpose(-1, -2) @ driving.rotation
    moved = source.translation + driving.translation - initial.translation
    moved = torch.cat((moved[:, :2], source.translation[:, 2:].expand(len(moved), -1)), dim=1)
    expression = source.expression + driving.expression - initial.expression
    return place(canonical, Pose(turned, moved, expression))
