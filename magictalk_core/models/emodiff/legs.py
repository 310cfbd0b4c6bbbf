"""Sampling in a few jumps: the path from noise to motion cut into legs, one network evaluation each.

Only a network that was distilled for it can be asked so; see `models/emodiff_student`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from magictalk_core.models.emodiff.config import EmoDiffNetworkConfig
from magictalk_core.models.emodiff.diffusion import NoiseSchedule, Predict, hold_first

__all__ = ["jump", "leg_times", "remaining_signal", "sample_legs"]


def leg_times(config: EmoDiffNetworkConfig, legs: int) -> list[int]:
    """Diffusion steps (counted from 0, falling) at which the legs begin; the last leg ends in clean motion."""
    return [round(config.steps * (legs - i) / legs) - 1 for i in range(legs)]


def remaining_signal(schedule: NoiseSchedule, t: int) -> float:
    """abar of step `t`; 1 for -1, clean motion."""
    return 1.0 if t < 0 else float(schedule.alphas_cumprod[t])


def jump(x: Tensor, noise: Tensor, schedule: NoiseSchedule, t: int, t_end: int) -> Tensor:
    """One DDIM step (eta 0) from step `t` to `t_end` with the predicted `noise`."""
    here, there = remaining_signal(schedule, t), remaining_signal(schedule, t_end)
    clean = (x - (1 - here) ** 0.5 * noise) / here**0.5
    landed: Tensor = clean * there**0.5 + noise * (1 - there) ** 0.5
    return landed


def sample_legs(
    predict: Predict, noise: Tensor, config: EmoDiffNetworkConfig, evaluations: int, first: Tensor | None = None
) -> Tensor:
    """Motion from `noise` (B, N, D) in `evaluations` jumps, one call of `predict` each.

    `first` (B, D), where it is given, is held as frame 0.
    """
    schedule, x = NoiseSchedule(config), noise
    times = [*leg_times(config, evaluations), -1]
    for t, t_end in pairwise(times):
        x = hold_first(x, first)
        noise = predict(x, torch.full((len(x),), t, dtype=torch.long))
        x = jump(x, noise, schedule, t, t_end)
    return hold_first(x, first)
