"""A student of EmoDiff that needs a few network evaluations per window instead of hundreds.

The teacher's path from noise to motion, a deterministic second-order solver with guidance, is cut into as many legs as
the student has steps. The student learns to jump over a leg: from x at its beginning it predicts the noise that takes a
single DDIM step (eta 0) to the x where the teacher arrives. Guidance is inside what it learns, so a step is one
evaluation. This is progressive distillation with all halvings at once; source: Salimans and Ho, Progressive
Distillation for Fast Sampling of Diffusion Models, 2022, with the teacher's own trajectories as data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from magictalk_core.models.emodiff.config import EmoDiffNetworkConfig
from magictalk_core.models.emodiff.diffusion import NoiseSchedule, Predict, hold_first, make_scheduler
from magictalk_core.models.emodiff.legs import remaining_signal

__all__ = ["Leg", "jump_gain", "target_noise", "teacher_legs"]


@dataclass(frozen=True, eq=False)
class Leg:
    """What the student learns from: x (B, N, D) at step t, and where the teacher was at the end of the leg."""

    start: Tensor
    end: Tensor
    t: int
    t_end: int
    """-1: clean motion."""


def jump_gain(schedule: NoiseSchedule, t: int, t_end: int) -> float:
    """How much an error of the predicted noise moves the place where `jump` lands."""
    here, there = remaining_signal(schedule, t), remaining_signal(schedule, t_end)
    return float((1 - there) ** 0.5 - (there / here) ** 0.5 * (1 - here) ** 0.5)


def target_noise(leg: Leg, schedule: NoiseSchedule) -> Tensor:
    """The noise with which `jump` goes exactly from the beginning of the leg to its end."""
    ratio = (remaining_signal(schedule, leg.t_end) / remaining_signal(schedule, leg.t)) ** 0.5
    noise: Tensor = (leg.end - ratio * leg.start) / jump_gain(schedule, leg.t, leg.t_end)
    return noise


def teacher_legs(
    predict: Predict,
    config: EmoDiffNetworkConfig,
    legs: int,
    noise: Tensor,
    steps_per_leg: int,
    first: Tensor | None = None,
) -> Sequence[Leg]:
    """Run the teacher, guidance included in `predict`, from `noise` to motion and note where every leg begins and ends.

    Each leg is solved by DPM-Solver++ of second order in `steps_per_leg` steps. `first` (B, D) is held as frame 0 where
    it is given; what then happens to that frame is nothing to learn.
    """
    scheduler = make_scheduler(config, "dpmpp")
    scheduler.set_timesteps(legs * steps_per_leg)
    times = [int(t) for t in scheduler.timesteps]
    found, x = [], noise
    for leg in range(legs):
        start = hold_first(x, first)
        for i in range(leg * steps_per_leg, (leg + 1) * steps_per_leg):
            t = torch.full((len(noise),), times[i], dtype=torch.long)
            x = hold_first(x, first)
            x = scheduler.step(predict(x, t), scheduler.timesteps[i], x).prev_sample
        begin = times[leg * steps_per_leg]
        end = times[(leg + 1) * steps_per_leg] if leg + 1 < legs else -1
        found.append(Leg(start, x, begin, end))
    return found
