"""DPM-Solver++ of second order, multistep: the sampler that everything here uses by default, without diffusers.

Importing diffusers takes longer than all of `magictalk animate` besides. Source: Lu et al., DPM-Solver++: Fast Solver
for Guided Sampling of Diffusion Probabilistic Models, 2022, algorithm 2 (2M). The values are those of diffusers'
`DPMSolverMultistepScheduler` (`solver_order=2`, trailing steps, last step of first order to clean data).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["DpmSolver"]


@dataclass(frozen=True, eq=False)
class _Landed:
    prev_sample: Tensor


class DpmSolver:
    """As a scheduler of diffusers is used: `set_timesteps`, then `step` for each of `timesteps`, in their order."""

    init_noise_sigma = 1.0

    def __init__(self, alphas_cumprod: Tensor) -> None:
        """`alphas_cumprod` (T,): share of the signal's variance after each step, double precision."""
        self._alphas_cumprod = alphas_cumprod
        self.timesteps: list[int] = []
        self._done = 0
        self._before: Tensor | None = None

    def set_timesteps(self, evaluations: int) -> None:
        """So many steps, evenly from the noisiest on; begins anew."""
        total = len(self._alphas_cumprod)
        self.timesteps = [int(t) - 1 for t in np.arange(total, 0, -total / evaluations).round()]
        self._done, self._before = 0, None

    def scale_model_input(self, x: Tensor, t: int) -> Tensor:
        return x

    def _at(self, number: int) -> tuple[float, float, float]:
        """Amplitude of signal and of noise where step `number` begins, and the logarithm of their ratio."""
        if number == len(self.timesteps):
            return 1.0, 0.0, math.inf
        abar = float(self._alphas_cumprod[self.timesteps[number]])
        return abar**0.5, (1 - abar) ** 0.5, 0.5 * math.log(abar / (1 - abar))

    def step(self, noise: Tensor, t: int, x: Tensor) -> _Landed:
        """From `x` at step `t`, where the network saw `noise`, to where the next one begins."""
        number = self._done
        if self.timesteps[number] != int(t):
            raise ValueError(f"step {int(t)} asked for, the next one is {self.timesteps[number]}")
        signal, spread, ratio = self._at(number)
        signal_next, spread_next, ratio_next = self._at(number + 1)
        clean = (x - spread * noise) / signal
        wanted, h = clean, ratio_next - ratio
        if self._before is not None and number + 1 < len(self.timesteps):
            # Linear in the log ratio through this prediction and the one before.
            wanted = clean + 0.5 * h / (ratio - self._at(number - 1)[2]) * (clean - self._before)
        self._done, self._before = number + 1, clean
        landed: Tensor = (spread_next / spread) * x - signal_next * math.expm1(-h) * wanted
        return _Landed(landed.to(torch.promote_types(x.dtype, noise.dtype)))
