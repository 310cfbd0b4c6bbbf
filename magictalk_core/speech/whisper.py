"""The first two layers of Whisper tiny.en's encoder in torch: two convolutions, sinusoidal positions, two layers.

Layers as in openai/whisper whisper/model.py (AudioEncoder), whose values end behind layer 2 here, before any last
normalisation: the layer that mouths are read from best (docs/speech.md). Sounds are heard at their own length, nothing
is padded to 30 s. What is longer than Whisper's 30 s is heard in pieces: `PIECE` steps each, with `CONTEXT` steps of
the sound before and behind that are heard along and not kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.errors import PermanentError
from magictalk_core.speech.published import read_safetensors
from magictalk_core.speech.weight_files import weights_source
from magictalk_core.speech.whisper_mel import BANDS, scaled_log_mel, whisper_mel
from magictalk_core.weights.resolver import content_sha256

__all__ = [
    "CONTEXT",
    "MOST_STEPS",
    "PIECE",
    "STEP",
    "WIDTH",
    "Past",
    "WhisperLayers",
    "dequantized",
    "load_whisper",
    "positions",
    "whisper_steps",
]

WIDTH, HEADS, LAYERS = 384, 6, 2
STEP = 320
"""Samples of one step of the network: 50 a second."""

MOST_STEPS = 1500
"""30 s: what Whisper was trained to hear at once."""
CONTEXT = 250
PIECE = MOST_STEPS - 2 * CONTEXT

_ROWS = 6000
"""Steps given to the network at once, over all pieces of a batch: 37 MB of the widest layer."""
_SLOWEST = 10_000.0
"""Longest wavelength of the positions, in steps, over 2 pi."""

Samples = NDArray[np.float32]
Steps = NDArray[np.float32]

Past = tuple[Tensor, Tensor]
"""Keys and values of steps already heard, each (1, heads, steps, width / heads)."""


class _Layer(nn.Module):
    """Self-attention and feed-forward, each behind its normalisation and beside a residual path."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """(B, T, width); `seen` (B, 1, 1, T): the steps that belong to the sound."""
        q, k, v = self._asked(x)
        return self._mixed(x, functional.scaled_dot_product_attention(q, k, v, attn_mask=seen))

    def behind(self, x: Tensor, past: Past) -> tuple[Tensor, Past]:
        """As `forward` of steps (1, T, width) that follow the steps `past`, and the keys and values of all of them."""
        q, k, v = self._asked(x)
        keys, values = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        return self._mixed(x, functional.scaled_dot_product_attention(q, keys, values)), (keys, values)

    def no_past(self, like: Tensor) -> Past:
        """Of no step at all, on the device of `like`."""
        size = self.out.in_features // self.heads
        return like.new_zeros(1, self.heads, 0, size), like.new_zeros(1, self.heads, 0, size)

    def _asked(self, x: Tensor) -> Tensor:
        """Queries, keys and values: (3, B, heads, T, width / heads)."""
        asked: Tensor = self.qkv(self.norm_1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return asked

    def _mixed(self, x: Tensor, heard: Tensor) -> Tensor:
        x = x + self.out(heard.transpose(1, 2).flatten(2))
        widened: Tensor = self.narrow(functional.gelu(self.wide(self.norm_2(x))))
        return x + widened


def positions(steps: int, width: int = WIDTH) -> Tensor:
    """(steps, width) sines and cosines of the step's number, wavelengths from 2 pi to 2 pi times 10,000 steps."""
    rates = torch.exp(-math.log(_SLOWEST) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(steps)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1)


class WhisperLayers(nn.Module):
    """(B, 2 T, 80) scaled log-mel of B pieces to (B, T, 384)."""

    def __init__(self, width: int = WIDTH, heads: int = HEADS, layers: int = LAYERS) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(BANDS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))

    def behind(self, x: Tensor, pasts: Sequence[Past]) -> tuple[Tensor, list[Past]]:
        """The layers of steps (1, T, 384), convolved and with their positions, that follow `pasts`, one of each layer;
        and the pasts of what follows these."""
        found = []
        for layer, past in zip(self._typed_layers(), pasts, strict=True):
            x, known = layer.behind(x, past)
            found.append(known)
        return x, found

    def no_pasts(self) -> list[Past]:
        """Of the beginning of a sound."""
        return [layer.no_past(layer.out.weight) for layer in self._typed_layers()]

    def _typed_layers(self) -> list[_Layer]:
        return [layer for layer in self.layers if isinstance(layer, _Layer)]

    def forward(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """`lengths` (B,): the steps of each piece; what lies behind them changes nothing before them."""
        fine = torch.arange(mel.shape[1], device=mel.device) < 2 * lengths[:, None]
        seen = fine[:, ::2]
        # Behind its end a piece is followed by zeros, as the convolutions pad it where it stands alone.
        x = functional.gelu(self.conv1((mel * fine[..., None]).transpose(1, 2))) * fine[:, None]
        x = functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + positions(x.shape[1], x.shape[2]).to(x)
        for layer in self.layers:
            x = layer(x, seen[:, None, None])
        return x


def dequantized(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """float32 of the shipped file: whole numbers times the scale of their row, the rest as it is."""
    values = {}
    for name, value in tensors.items():
        if name.endswith(".scale"):
            continue
        value = value.float()
        scale = tensors.get(f"{name}.scale")
        values[name] = value if scale is None else value * scale.float().reshape(-1, *[1] * (value.dim() - 1))
    return values


def load_whisper(device: str | None = None) -> WhisperLayers:
    """The network of `whisper-tiny-en-l2`, on `device`; None: a GPU where one is. Kept for later calls."""
    source = weights_source("whisper-tiny-en-l2")
    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return _load(source, content_sha256(source), where)


@cache
def _load(source: Path, digest: str, device: str) -> WhisperLayers:
    network = WhisperLayers()
    try:
        network.load_state_dict(dequantized(read_safetensors(source)))
    except RuntimeError as error:
        raise PermanentError(f"{source}: not the weights of whisper-tiny-en-l2: {error}") from error
    return network.eval().requires_grad_(False).to(device)


@dataclass(frozen=True)
class _Piece:
    """Steps `first` to `last` of a clip as they are heard; those from `kept_from` to `kept_to` are kept."""

    clip: int
    first: int
    last: int
    kept_from: int
    kept_to: int

    @property
    def steps(self) -> int:
        return self.last - self.first


def _pieces(clip: int, steps: int) -> Iterator[_Piece]:
    if steps <= MOST_STEPS:
        yield _Piece(clip, 0, steps, 0, steps)
        return
    for start in range(0, steps, PIECE):
        end = min(start + PIECE, steps)
        yield _Piece(clip, max(0, start - CONTEXT), min(end + CONTEXT, steps), start, end)


def _batches(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces of like length together, the longest first."""
    batch: list[_Piece] = []
    for piece in sorted(pieces, key=lambda piece: -piece.steps):
        if batch and (len(batch) + 1) * batch[0].steps > _ROWS:
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


def _mel(samples: Samples, piece: _Piece) -> Steps:
    """(2 steps, 80) of a piece; its windows reach into the samples around it, as those of the whole sound do."""
    first, last = piece.first * STEP, piece.last * STEP
    before, behind = min(first, STEP), min(len(samples) - last, STEP)
    mel = whisper_mel(samples[first - before : last + behind])
    skipped = 2 * before // STEP
    return scaled_log_mel(mel[skipped : skipped + 2 * piece.steps])


def whisper_steps(network: WhisperLayers, clips: Sequence[Samples]) -> list[Steps]:
    """(len // 320, 384) of every clip, 50 a second, of 16 kHz mono samples in [-1, 1] at the level of the feature.

    A clip's values do not depend on the others beyond rounding (1e-5). Clips under 640 samples have no steps.
    """
    found = [
        np.zeros((len(samples) // STEP if len(samples) >= 2 * STEP else 0, WIDTH), np.float32) for samples in clips
    ]
    pieces = [piece for clip, values in enumerate(found) if len(values) for piece in _pieces(clip, len(values))]
    device = next(network.parameters()).device
    with torch.inference_mode():
        for batch in _batches(pieces):
            mel = torch.zeros(len(batch), 2 * batch[0].steps, BANDS)
            for row, piece in zip(mel, batch, strict=True):
                row[: 2 * piece.steps] = torch.from_numpy(_mel(clips[piece.clip], piece))
            lengths = torch.tensor([piece.steps for piece in batch], device=device)
            heard = network(mel.to(device), lengths).cpu().numpy()
            for piece, values in zip(batch, heard, strict=True):
                kept = values[piece.kept_from - piece.first : piece.kept_to - piece.first]
                found[piece.clip][piece.kept_from : piece.kept_to] = kept
    return found
