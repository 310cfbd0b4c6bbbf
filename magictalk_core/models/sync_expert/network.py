"""The lip-sync expert: do these frames of mouth motion and this stretch of speech belong together?

Wav2Lip's expert with coefficients in place of pixels, since no gradient flows through a renderer: two encoders, unit
vectors that are never negative, and their cosine as the probability of being in sync (reference/models.md 2.1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.models.shared.speech_steps import steps_per_frame, to_steps
from magictalk_core.models.sync_expert.config import SyncExpertNetworkConfig

__all__ = ["SyncExpert", "in_sync_loss", "pair_errors", "sync_probability"]

_LEAST = 1e-6


def _encoder(channels: int, steps: int, widths: tuple[int, ...], size: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((channels, *widths), widths, strict=False):
        layers += [nn.Conv1d(before, after, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(steps * widths[-1], size), nn.ReLU())


class SyncExpert(nn.Module):
    """(B, frames, M) normalised motion and (B, frames, F) normalised speech to two unit vectors (B, embedding)."""

    def __init__(self, config: SyncExpertNetworkConfig, channels: int, feature_size: int) -> None:
        super().__init__()
        steps, values = steps_per_frame(feature_size)
        self.relative_to_window = config.relative_to_window
        self.motion = _encoder(channels, config.frames, config.widths, config.embedding)
        self.speech = _encoder(values, config.frames * steps, config.widths, config.embedding)

    def forward(self, motion: Tensor, speech: Tensor) -> tuple[Tensor, Tensor]:
        if self.relative_to_window:
            motion = motion - motion.mean(dim=1, keepdim=True)
        moved = self.motion(motion.transpose(1, 2))
        heard = self.speech(to_steps(speech).transpose(1, 2))
        return functional.normalize(moved, dim=-1), functional.normalize(heard, dim=-1)


def sync_probability(motion: Tensor, speech: Tensor) -> Tensor:
    """Cosine of unit vectors (..., E) that are never negative, kept off 0 and 1 for the logarithm.

    In float32 whatever the vectors are: bf16 has no number between 1 - 1e-6 and 1.
    """
    return (motion.float() * speech.float()).sum(dim=-1).clamp(_LEAST, 1 - _LEAST)


def pair_errors(probability: Tensor, in_sync: Tensor) -> Tensor:
    """Binary cross-entropy of each pair, `in_sync` (bool) the truth. CUDA's autocast refuses torch's own."""
    return -torch.where(in_sync, probability, 1 - probability).log()


def in_sync_loss(probability: Tensor) -> Tensor:
    """L_sync: binary cross-entropy against "in sync", mean over all windows."""
    return pair_errors(probability, torch.ones_like(probability, dtype=torch.bool)).mean()
