"""Equations 1-5 of the paper: adding noise, the loss, guidance, and sampling through diffusers' schedulers.

Data are z-normalised, so nothing is clipped while sampling. The variance of the DDPM sampler is beta_t (Eq. 2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from magictalk_core.config import EmoDiffConfig

__all__ = ["NoiseSchedule", "guided", "make_scheduler", "sample"]

Predict = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, N, D), t (B,)) -> predicted noise (B, N, D)."""


class NoiseSchedule:
    """Linear variances beta_1..beta_T and their cumulative products (Eq. 1); t counts from 0 here."""

    def __init__(self, config: EmoDiffConfig) -> None:
        self.betas = torch.linspace(config.beta_start, config.beta_end, config.steps, dtype=torch.float64)
        self.alphas_cumprod = torch.cumprod(1 - self.betas, dim=0)

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps; x0 and noise (B, N, D), t (B,)."""
        abar = self.alphas_cumprod.to(x0.device)[t].to(x0.dtype)[:, None, None]
        return abar.sqrt() * x0 + (1 - abar).sqrt() * noise


def guided(conditional: Tensor, unconditional: Tensor, guidance: float) -> Tensor:
    """Eq. 5: (1 + w) eps(x_t, t, c) - w eps(x_t, t)."""
    return (1 + guidance) * conditional - guidance * unconditional


def make_scheduler(config: EmoDiffConfig) -> Any:
    """The diffusers scheduler that the config names, on the paper's linear variances."""
    from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler

    common = {
        "num_train_timesteps": config.steps,
        "beta_start": config.beta_start,
        "beta_end": config.beta_end,
        "beta_schedule": "linear",
    }
    if config.sampler == "ddpm":
        return DDPMScheduler(**common, variance_type="fixed_large", clip_sample=False, timestep_spacing="trailing")
    if config.sampler == "ddim":
        return DDIMScheduler(**common, clip_sample=False, timestep_spacing="trailing")
    return DPMSolverMultistepScheduler(**common, algorithm_type="dpmsolver++", timestep_spacing="trailing")


def sample(predict: Predict, shape: tuple[int, ...], config: EmoDiffConfig, generator: torch.Generator) -> Tensor:
    """Draw x_0 of `shape` (B, N, D), starting from noise of `generator`; `sampling_steps` calls of `predict`."""
    scheduler = make_scheduler(config)
    scheduler.set_timesteps(config.sampling_steps)
    x: Tensor = torch.randn(shape, generator=generator) * scheduler.init_noise_sigma
    extra = {} if config.sampler == "dpmpp" else {"generator": generator}
    for step in scheduler.timesteps:
        t = torch.full((shape[0],), int(step), dtype=torch.long)
        x = scheduler.step(predict(scheduler.scale_model_input(x, step), t), step, x, **extra).prev_sample
    return x
