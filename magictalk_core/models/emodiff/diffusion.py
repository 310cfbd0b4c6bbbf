"""Equations 1-5 of the paper: adding noise, guidance, and sampling through schedulers, diffusers' but for `dpmpp`.

Data are z-normalised, not bounded, so nothing is clipped while sampling. The samplers:

* `ddpm`: ancestral, variance beta_t (Eq. 2), the paper's text;
* `code65`: ancestral, posterior variance, and in the last steps noise that the frames share, as the code of the work
  that the paper follows does it (models.md 1.1, "stabilizer");
* `ddim` (eta 0) and `dpmpp` (DPM-Solver++, second order): 20-50 evaluations instead of 500.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from magictalk_core.models.emodiff.config import EmoDiffNetworkConfig, SamplingConfig
from magictalk_core.models.emodiff.dpm_solver import DpmSolver

__all__ = ["NoiseSchedule", "Predict", "draw_noise", "guided", "hold_first", "make_scheduler", "sample", "stabilized"]

Predict = Callable[[Tensor, Tensor], Tensor]
"""(x_t (B, N, D), t (B,)) -> predicted noise (B, N, D)."""

_STABILIZED_STEPS = 25


class NoiseSchedule:
    """Linear variances beta_1..beta_T and their cumulative products (Eq. 1); t counts from 0 here."""

    def __init__(self, config: EmoDiffNetworkConfig) -> None:
        self.betas = torch.linspace(config.beta_start, config.beta_end, config.steps, dtype=torch.float64)
        self.alphas_cumprod = torch.cumprod(1 - self.betas, dim=0)

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps; x0 and noise (B, N, D), t (B,)."""
        abar = self.alphas_cumprod.to(x0.device)[t].to(x0.dtype)[:, None, None]
        return abar.sqrt() * x0 + (1 - abar).sqrt() * noise

    def loss_weights(self, loss: str) -> Tensor:
        """(T,) weight of the noise's squared error: 1 for `noise` (Eq. 4), 1 / abar_t for `velocity`.

        The velocity v = sqrt(abar) eps - sqrt(1 - abar) x_0 has the squared error of eps over abar when the network's
        own output is v (`noise_skip`). Source: Salimans and Ho, Progressive Distillation, 2022.
        """
        return (1 / self.alphas_cumprod if loss == "velocity" else torch.ones_like(self.alphas_cumprod)).float()


def guided(conditional: Tensor, unconditional: Tensor, guidance: float) -> Tensor:
    """Eq. 5: (1 + w) eps(x_t, t, c) - w eps(x_t, t)."""
    return (1 + guidance) * conditional - guidance * unconditional


def make_scheduler(config: EmoDiffNetworkConfig, sampler: str) -> Any:
    """The scheduler of `sampler` (`SamplingConfig.sampler`), on the paper's linear variances."""
    schedule = NoiseSchedule(config)
    if sampler == "dpmpp":
        return DpmSolver(schedule.alphas_cumprod)
    from diffusers import DDIMScheduler, DDPMScheduler

    common = {
        "num_train_timesteps": config.steps,
        "beta_start": config.beta_start,
        "beta_end": config.beta_end,
        "beta_schedule": "linear",
        "timestep_spacing": "trailing",
    }
    if sampler == "ddpm":
        scheduler: Any = DDPMScheduler(**common, variance_type="fixed_large", clip_sample=False)
    else:
        # ddim and code65. The last step goes to abar = 1, clean data.
        scheduler = DDIMScheduler(**common, clip_sample=False, set_alpha_to_one=True)
    # In single precision 1 - abar_1 = 1e-4 keeps three digits, and every step inherits the error.
    scheduler.betas, scheduler.alphas = schedule.betas, 1 - schedule.betas
    scheduler.alphas_cumprod = schedule.alphas_cumprod
    return scheduler


def stabilized(noise: Tensor, shared: Tensor, t: int) -> Tensor:
    """In the last 25 steps the frames' noise (B, N, D) turns into one common draw (B, 1, D); t counts from 1."""
    if not 1 < t < _STABILIZED_STEPS:
        return noise
    share = (t - _STABILIZED_STEPS) ** 2 / _STABILIZED_STEPS**2
    return math.sqrt(1 - share**2) * noise + share * shared


def draw_noise(shape: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
    """(B, *shape) unit Gaussian noise; row i from `generators[i]` (CPU) alone."""
    return torch.stack([torch.randn(tuple(shape), generator=generator) for generator in generators])


def sample(
    predict: Predict,
    noise: Tensor,
    config: EmoDiffNetworkConfig,
    sampling: SamplingConfig,
    generators: Sequence[torch.Generator],
    first: Tensor | None = None,
) -> Tensor:
    """x_0 (B, N, D) from `noise` of that shape in `sampling.evaluations` calls of `predict`.

    Whatever is drawn on the way for row i comes from `generators[i]` (CPU). `first` (B, D), where it is given, is
    frame 0 of everything that `predict` sees and of the result, free of noise: `fixed_initial_frame` in training.
    """
    scheduler = make_scheduler(config, sampling.sampler)
    scheduler.set_timesteps(sampling.evaluations)
    rows, *shape = noise.shape
    x: Tensor = noise * scheduler.init_noise_sigma
    extra: dict[str, Any] = {"generator": list(generators)} if sampling.sampler == "ddpm" else {}
    for step in scheduler.timesteps:
        t = torch.full((rows,), int(step), dtype=torch.long)
        x = hold_first(x, first)
        if sampling.sampler == "code65":
            fresh, shared = draw_noise(shape, generators), draw_noise((1, shape[-1]), generators)
            extra = {"eta": 1.0, "variance_noise": stabilized(fresh, shared, int(step) + 1)}
        x = scheduler.step(predict(scheduler.scale_model_input(x, step), t), step, x, **extra).prev_sample
    return hold_first(x, first)


def hold_first(x: Tensor, first: Tensor | None) -> Tensor:
    """`x` (B, N, D) with the clean state `first` (B, D) as frame 0; as it is without one."""
    return x if first is None else torch.cat([first[:, None].to(x.dtype), x[:, 1:]], dim=1)
