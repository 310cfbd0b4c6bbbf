"""The emotional residue: what a style adds to the neutral mouth, from Audio2BS's state and a style clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from magictalk_core.models.lip_residue.config import LipResidueNetworkConfig

__all__ = ["ResidueGenerator", "of_channels", "style_clip"]

_WIDTHS = (64, 128, 128)
_GROUPS = 8


def style_clip(style: Tensor, frames: int) -> Tensor:
    """(k, C) style frames -> (frames, C): the middle of a longer clip, a shorter one from its start again and again."""
    if len(style) >= frames:
        start = (len(style) - frames) // 2
        return style[start : start + frames]
    return style[torch.arange(frames) % len(style)]


class EmotionEncoder(nn.Module):
    """A style clip to a vector: three convolutions over time, mean over time, one linear layer.

    Group rather than batch normalisation: the loss of a row must not depend on the rows beside it, or a training on
    two processes would not be the training on one.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((channels, *_WIDTHS), _WIDTHS, strict=False):
            layers += [nn.Conv1d(before, after, 3, stride=2, padding=1), nn.GroupNorm(_GROUPS, after), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Linear(_WIDTHS[-1], size)

    def forward(self, style: Tensor) -> Tensor:
        """(B, S, C) normalised coefficients of S frames in a row -> (B, size)."""
        encoded: Tensor = self.head(self.convolutions(style.transpose(1, 2)).mean(dim=-1))
        return encoded


class ResidueGenerator(nn.Module):
    """tanh residue per frame and mouth channel; zero before training, since its last layer begins at zero."""

    def __init__(self, config: LipResidueNetworkConfig, state: int, mouth: int, coefficients: int) -> None:
        """`state` is the width of Audio2BS's LSTM, `mouth` its channels; one of them is read (`config.reads`)."""
        super().__init__()
        self.reads_mouth = config.reads == "mouth"
        self.emotion = EmotionEncoder(coefficients, config.style_size)
        joined = (mouth if self.reads_mouth else state) + config.style_size
        # Neutral wants no residue, which drives rectified units to nothing; reading the mouth alone they stay so, and
        # styles that differ from neutral in brows and eyes alone get none either.
        unit = nn.GELU if self.reads_mouth else nn.ReLU
        self.hidden = nn.Sequential(nn.Linear(joined, 256), unit(), nn.Linear(256, config.head), unit())
        self.last = nn.Linear(config.head, mouth)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, neutral: Tensor, state: Tensor, style: Tensor) -> Tensor:
        """Mouth (B, N, M) and state (B, N, H) of Audio2BS, style (B, S, C) normalised -> residue (B, N, M) in -1..1."""
        return self.added(neutral, state, self.emotion(style))

    def added(self, neutral: Tensor, state: Tensor, emotion: Tensor) -> Tensor:
        """`forward` of an emotion (B, size) that is encoded already."""
        heard = neutral if self.reads_mouth else state
        joined = torch.cat([heard, emotion[:, None].expand(-1, state.shape[1], -1)], dim=-1)
        return torch.tanh(self.last(self.hidden(joined)))


def of_channels(
    weights: Mapping[str, Tensor], mouth: Sequence[int], coefficients: Sequence[int], reads: str
) -> dict[str, Tensor]:
    """The weights of a generator that makes the channels at `mouth` alone and sees those at `coefficients` of a style,
    of one that makes and sees more: what it no longer sees is for it as if it were at its mean."""
    made, seen = list(mouth), list(coefficients)
    found = dict(weights)
    found["emotion.convolutions.0.weight"] = weights["emotion.convolutions.0.weight"][:, seen]
    if reads == "mouth":
        entered, made_before = weights["hidden.0.weight"], len(weights["last.bias"])
        found["hidden.0.weight"] = entered[:, [*made, *range(made_before, entered.shape[1])]]
    for name in ("last.weight", "last.bias"):
        found[name] = weights[name][made]
    return found
