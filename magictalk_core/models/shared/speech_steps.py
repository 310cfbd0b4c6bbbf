"""Speech features cut for the lip networks: letters over time around every video frame.

A feature of one video frame is a row of steps of 29 values: two 50 Hz steps of DeepSpeech, one of log-mel. Both
networks look along those steps, so the row is taken apart again here.
"""

from __future__ import annotations

from torch import Tensor

__all__ = ["STEP_SIZE", "steps_per_frame", "to_steps"]

STEP_SIZE = 29
"""Values of one step: DeepSpeech's classes, and as many mel bands."""


def steps_per_frame(feature_size: int) -> tuple[int, int]:
    """(steps, values per step) of a feature: (2, 29) for 58, (1, 29) for 29; other sizes are one step."""
    whole, rest = divmod(feature_size, STEP_SIZE)
    return (1, feature_size) if rest else (whole, STEP_SIZE)


def to_steps(features: Tensor) -> Tensor:
    """(..., k, F) features of k frames in a row -> (..., k * steps, values)."""
    steps, values = steps_per_frame(features.shape[-1])
    return features.reshape(*features.shape[:-2], features.shape[-2] * steps, values)
