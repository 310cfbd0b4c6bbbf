"""Audio2BS: neutral mouth weights from speech (section 3.3; reference/models.md 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from magictalk_core.models.audio2bs.config import Audio2BSNetworkConfig
from magictalk_core.models.shared.speech_steps import steps_per_frame, to_steps

__all__ = ["Audio2BS", "of_channels"]

_WIDTHS = (32, 32, 64, 64)
_SLOPE = 0.02


def _keep_scale(module: nn.Module) -> None:
    """He's initialisation: with torch's own, seven layers shrink the speech to nothing and the mouth stays a mean."""
    if isinstance(module, nn.Conv1d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, a=_SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class SpeechEncoder(nn.Module):
    """One feature, a few frames of speech, to a vector: the AudioNet of AD-NeRF, 29-32-32-64-64 and 64-64."""

    def __init__(self, feature_size: int, size: int) -> None:
        super().__init__()
        _, values = steps_per_frame(feature_size)
        layers: list[nn.Module] = []
        for before, after in zip((values, *_WIDTHS), _WIDTHS, strict=False):
            layers += [nn.Conv1d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(_SLOPE)]
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(_WIDTHS[-1], 64), nn.LeakyReLU(_SLOPE), nn.Linear(64, size))

    def forward(self, speech: Tensor) -> Tensor:
        """(B, k, F) -> (B, size); 16 steps shrink to one, of any other number the mean is taken."""
        steps = to_steps(speech).transpose(1, 2)
        # In bf16 on a CPU, taps of a kernel that no step reaches get NaN for a gradient (torch 2.13).
        with torch.autocast(steps.device.type, enabled=False):
            found: Tensor = self.convolutions(steps.float())
        encoded: Tensor = self.head(found.mean(dim=-1))
        return encoded


class Audio2BS(nn.Module):
    """Mouth weights of N frames in a row from the N + T - 1 features around them.

    Each frame has its own window of T features, read by the LSTM from a zero state: a frame's mouth depends on its
    window alone, so clips of any length, batches and streams give the same values.

    With a linear base the LSTM corrects it: their sum, limited to 0..1, instead of a sigmoid. The base reads the
    feature that is centred on the frame, is put in by `stand_on`, and is not trained.
    """

    base_weight: Tensor
    base_bias: Tensor

    def __init__(self, config: Audio2BSNetworkConfig, channels: int, feature_size: int) -> None:
        super().__init__()
        self.window, self.feature_frames = config.window, config.feature_frames
        self.encoder = SpeechEncoder(feature_size, config.encoder)
        self.lstm = nn.LSTM(config.encoder, config.hidden, config.layers, batch_first=True)
        self.last = nn.Linear(config.head, channels)
        self.head = nn.Sequential(nn.Linear(config.hidden, config.head), nn.LeakyReLU(_SLOPE))
        self.has_base = config.base == "linear"
        if self.has_base:
            self.register_buffer("base_weight", torch.zeros(channels, config.feature_frames * feature_size))
            self.register_buffer("base_bias", torch.zeros(channels))
        self.apply(_keep_scale)

    def begin_at(self, mouth: Tensor) -> None:
        """Let the head begin at `mouth` (M,) in 0..1. From the 0.5 of an untrained sigmoid, the way down to resting
        lips takes hundreds of steps, in which the speech is unlearned."""
        with torch.no_grad():
            self.last.bias.copy_(torch.logit(mouth, eps=1e-2))
            self.last.weight.mul_(0.1)

    def stand_on(self, weight: Tensor, bias: Tensor) -> None:
        """Make (M, k, F) and (M,) the base, to which the LSTM adds nothing as yet."""
        with torch.no_grad():
            self.base_weight.copy_(weight.flatten(1))
            self.base_bias.copy_(bias)
            self.last.weight.zero_()
            self.last.bias.zero_()

    def base(self) -> tuple[Tensor, Tensor]:
        """What the network stands on: (M, k, F) and (M,)."""
        return self.base_weight.reshape(len(self.base_weight), self.feature_frames, -1), self.base_bias

    def forward(self, speech: Tensor) -> tuple[Tensor, Tensor]:
        """speech (B, N + T - 1, k, F) normalised -> mouth (B, N, M) in 0..1 and the LSTM's last states (B, N, H)."""
        batch, features = speech.shape[:2]
        encoded = self.encoder(speech.flatten(0, 1)).unflatten(0, (batch, features))
        windows = encoded.unfold(1, self.window, 1).transpose(2, 3)
        outputs, _ = self.lstm(windows.flatten(0, 1))
        state = outputs[:, -1].unflatten(0, (batch, features - self.window + 1))
        found = self.last(self.head(state))
        if not self.has_base:
            return torch.sigmoid(found), state
        return (self._read(speech, state.shape[1]) + found).clamp(0.0, 1.0), state

    def _read(self, speech: Tensor, frames: int) -> Tensor:
        """What the base reads at the middle of every window: (B, N, M), not limited."""
        centre = (self.window - 1) // 2
        around = speech[:, centre : centre + frames].flatten(2)
        return nn.functional.linear(around, self.base_weight, self.base_bias)

    @property
    def is_base_alone(self) -> bool:
        """Whether training left the LSTM without a say: it gained nothing over the base."""
        return self.has_base and not bool(self.last.weight.any()) and not bool(self.last.bias.any())

    def read_base(self, speech: Tensor) -> Tensor:
        """The mouth of `forward` where the base is alone, without asking the LSTM."""
        return self._read(speech, speech.shape[1] - self.window + 1).clamp(0.0, 1.0)


_OF_CHANNELS = ("last.weight", "last.bias", "base_weight", "base_bias")


def of_channels(weights: Mapping[str, Tensor], places: Sequence[int]) -> dict[str, Tensor]:
    """The weights of a network that makes the mouth channels at `places` alone, of one that makes more."""
    return {name: value[list(places)] if name in _OF_CHANNELS else value for name, value in weights.items()}
