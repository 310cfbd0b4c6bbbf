"""The losses of face-vid2vid but the perceptual one; weights and sources are in reference/models.md 5.3."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from magictalk_core.models.facevid2vid.discriminator import Judged

__all__ = [
    "expression_size",
    "feature_matching",
    "hinge_of_discriminator",
    "hinge_of_generator",
    "keypoint_distance",
    "keypoint_prior",
    "pose_distance",
]

LEAST_SQUARED_DISTANCE = 0.1
"""Of two keypoints, below which they push each other apart."""

MEAN_DEPTH = 0.33


def hinge_of_discriminator(real: Tensor, made: Tensor) -> Tensor:
    """Scores of real patches belong above 1, those of made ones below -1; beyond that nothing is gained."""
    return functional.relu(1 - real).mean() + functional.relu(1 + made).mean()


def hinge_of_generator(made: Tensor) -> Tensor:
    """The more real, the better, without an end."""
    return -made.mean()


def feature_matching(real: Judged, made: Judged) -> Tensor:
    """Mean absolute difference of what the discriminator sees, summed over its blocks; the real side is fixed."""
    pairs = zip(real.features, made.features, strict=True)
    return torch.stack([(wanted.detach() - found).abs().mean() for wanted, found in pairs]).sum()


def keypoint_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of places, whatever their number and dimensions."""
    return (a - b).abs().mean()


def keypoint_prior(keypoints: Tensor) -> Tensor:
    """Keypoints (B, K, 3) apart from each other and, on average, at depth 0.33.

    The hinge on the squared distance is summed over all ordered pairs, a keypoint with itself included, as the field
    does: of K keypoints it is never less than K / 10.
    """
    away = (keypoints.unsqueeze(2) - keypoints.unsqueeze(1)).square().sum(-1)
    crowded = functional.relu(LEAST_SQUARED_DISTANCE - away).sum(dim=(1, 2)).mean()
    return crowded + (keypoints[..., 2].mean(dim=1) - MEAN_DEPTH).abs().mean()


def pose_distance(found: Tensor, known: Tensor) -> Tensor:
    """Sum over pitch, yaw and roll of the mean absolute difference in degrees; both (B, 3)."""
    return (found - known).abs().mean(dim=0).sum()


def expression_size(offsets: Tensor) -> Tensor:
    """Mean over rows of the absolute offsets (B, K, 3), summed over x, y, z and averaged over keypoints: an expression
    is small beside the head's motion."""
    return offsets.abs().sum(dim=-1).mean()
