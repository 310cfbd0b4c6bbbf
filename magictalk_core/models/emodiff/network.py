"""The denoiser: a transformer over the frames of one window (reference/models.md 1.3, after DiffGesture)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from magictalk_core.models.emodiff.config import EmoDiffNetworkConfig

__all__ = ["Denoiser", "of_channels"]

TIME_CODE_SIZE = {"beta": 3, "sinusoidal": 64}


class TimeCode(nn.Module):
    """Diffusion step to a vector, repeated over the frames and joined to them.

    `beta` is DiffGesture's (b, sin b, cos b): b spans only 1e-4..0.02, so it hardly varies. `sinusoidal` is the usual
    positional code of t through a small MLP.
    """

    betas: Tensor

    def __init__(self, kind: str, betas: Tensor) -> None:
        super().__init__()
        self.kind = kind
        self.size = TIME_CODE_SIZE[kind]
        self.register_buffer("betas", betas, persistent=False)
        if kind == "sinusoidal":
            self.mlp = nn.Sequential(nn.Linear(self.size, self.size), nn.SiLU(), nn.Linear(self.size, self.size))

    def forward(self, t: Tensor) -> Tensor:
        """t (B,) in 0..T-1 -> (B, size)."""
        if self.kind == "beta":
            beta = self.betas[t]
            return torch.stack([beta, beta.sin(), beta.cos()], dim=-1)
        half = self.size // 2
        rates = torch.exp(-math.log(10_000.0) * torch.arange(half, device=t.device) / half)
        angles = t[:, None].float() * rates[None]
        code: Tensor = self.mlp(torch.cat([angles.sin(), angles.cos()], dim=-1))
        return code


class Block(nn.Module):
    """Pre-norm self-attention and feed-forward, GELU, no dropout (timm's ViT block); attention to a memory if asked."""

    def __init__(self, hidden: int, heads: int, mlp_ratio: int, cross_attention: bool = False) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(hidden)
        self.attention = nn.MultiheadAttention(hidden, heads, batch_first=True)
        if cross_attention:
            self.norm_memory = nn.LayerNorm(hidden)
            self.attention_to_memory = nn.MultiheadAttention(hidden, heads, batch_first=True)
        self.norm_mlp = nn.LayerNorm(hidden)
        self.mlp = nn.Sequential(
            nn.Linear(hidden, mlp_ratio * hidden), nn.GELU(), nn.Linear(mlp_ratio * hidden, hidden)
        )

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """x, memory (B, N, hidden)."""
        normed = self.norm_attention(x)
        attended: Tensor = x + self.attention(normed, normed, normed, need_weights=False)[0]
        if memory is not None:
            asking = self.norm_memory(attended)
            attended = attended + self.attention_to_memory(asking, memory, memory, need_weights=False)[0]
        mixed: Tensor = self.mlp(self.norm_mlp(attended))
        return attended + mixed


class Denoiser(nn.Module):
    """Predicts the noise in a window of motion (Eq. 4).

    Shapes: x (B, N, D) normalised motion at step t (B,); condition (B, N, D + 1), see `conditions.py`; speech (B, N, F)
    normalised features; result (B, N, D). `N` is fixed by the learned positions.
    """

    alphas_cumprod: Tensor

    def __init__(self, config: EmoDiffNetworkConfig, window: int, state_size: int, feature_size: int) -> None:
        super().__init__()
        betas = torch.linspace(config.beta_start, config.beta_end, config.steps, dtype=torch.float64)
        self.noise_skip = config.noise_skip
        self.register_buffer("alphas_cumprod", torch.cumprod(1 - betas, dim=0).float(), persistent=False)
        self.time_code = TimeCode(config.time_code, betas.float())
        condition_size = state_size + 1 + feature_size * (2 * config.speech_context + 1)
        self.null_condition = nn.Parameter(torch.zeros(condition_size))
        self.enter = nn.Linear(state_size + self.time_code.size + condition_size, config.hidden)
        self.positions = nn.Parameter(torch.randn(1, window, config.hidden) * 0.02)
        self.blocks = nn.ModuleList(
            Block(config.hidden, config.heads, config.mlp_ratio, config.cross_attention) for _ in range(config.blocks)
        )
        self.memory = nn.Linear(condition_size, config.hidden) if config.cross_attention else None
        self.norm = nn.LayerNorm(config.hidden)
        # Two linear layers with nothing between them, as DiffGesture has it: its LeakyReLU has slope 1.
        self.head = nn.Sequential(
            nn.Linear(config.hidden, config.hidden // 2), nn.Linear(config.hidden // 2, state_size)
        )

    def forward(self, x: Tensor, t: Tensor, condition: Tensor, speech: Tensor, dropped: Tensor | None = None) -> Tensor:
        """`dropped` (B,) bool: samples whose whole condition becomes the learned null (classifier-free guidance)."""
        joined = torch.cat([condition, speech], dim=-1)
        if dropped is not None:
            joined = torch.where(dropped[:, None, None], self.null_condition, joined)
        time = self.time_code(t)[:, None].expand(-1, x.shape[1], -1)
        hidden = self.enter(torch.cat([x, time, joined], dim=-1)) + self.positions
        memory = None if self.memory is None else self.memory(joined) + self.positions
        for block in self.blocks:
            hidden = block(hidden, memory)
        noise: Tensor = self.head(self.norm(hidden))
        if self.noise_skip:
            abar = self.alphas_cumprod[t][:, None, None]
            noise = (1 - abar).sqrt() * x + abar.sqrt() * noise
        return noise


def of_channels(weights: Mapping[str, Tensor], places: Sequence[int], size: int) -> dict[str, Tensor]:
    """The weights of a denoiser of the channels at `places` alone, of one of `size` channels: what it no longer sees
    is for it as if it were at its mean."""
    chosen = list(places)
    found = dict(weights)
    condition = len(weights["null_condition"])
    kept = [*chosen, *range(size, condition)]
    time = weights["enter.weight"].shape[1] - size - condition
    columns = [*chosen, *range(size, size + time), *(size + time + place for place in kept)]
    found["enter.weight"] = weights["enter.weight"][:, columns]
    found["null_condition"] = weights["null_condition"][kept]
    if "memory.weight" in weights:
        found["memory.weight"] = weights["memory.weight"][:, kept]
    for name in ("head.1.weight", "head.1.bias"):
        found[name] = weights[name][chosen]
    return found
