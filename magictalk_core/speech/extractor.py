"""Sound to the raw logits of a DeepSpeech network: many clips at once, long clips in stretches, on a GPU where one is.

Memory does not grow with the length of a clip, apart from its samples, its 26 cepstra and its 29 logits per step: the
network sees at most `ROWS` steps at a time and carries the LSTM's state from one stretch to the next. The values are
those of one pass over the whole clip. With two directions (0.1.0) the state that comes from the end is not known
beforehand: a first pass keeps the forward states between the stretches, a second one goes through them backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from magictalk_core.speech.deepspeech import DeepSpeech, State, log_probabilities
from magictalk_core.speech.mfcc import (
    CONTEXT_SIZE,
    context_windows,
    mfcc_010,
    mfcc_093,
    to_int16,
    whitening_010,
)

__all__ = ["FLOOR", "ROWS", "SpeechModel", "floored_log_probabilities", "raw_logits"]

ROWS = 4096
"""Steps given to the network at once, over all clips of a batch: 134 MB of gates at the size of 0.9.3."""

MAX_CLIPS = 32
"""Clips in a batch: the recurrent weights are read once per step for all of them."""

FLOOR = 1e-8
"""Added to every probability before its logarithm."""

Samples = NDArray[np.float32]
Steps = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SpeechModel:
    """A network and the front end that it was trained with: that of 0.1.0, or else that of 0.9.x."""

    network: DeepSpeech
    is_010: bool
    weights_sha256: str

    def mfcc(self, samples: Samples) -> Steps:
        """(steps, 26) of mono samples in [-1, 1] at 16 kHz, as the network wants them but for the context windows."""
        return mfcc_010(to_int16(samples)) if self.is_010 else mfcc_093(samples)


@dataclass(eq=False)
class _Batch:
    """Clips by falling length, cut into stretches of `size` steps; a stretch has the clips that reach into it."""

    model: SpeechModel
    mfccs: Sequence[Steps]
    size: int
    _whitening: list[tuple[float, float]] = field(init=False)

    def __post_init__(self) -> None:
        self._whitening = [whitening_010(mfcc) for mfcc in self.mfccs] if self.model.is_010 else []

    @property
    def stretches(self) -> int:
        return -(-len(self.mfccs[0]) // self.size)

    def clips(self, index: int) -> int:
        return sum(len(mfcc) > index * self.size for mfcc in self.mfccs)

    def stretch(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Contexts (clips, steps, 494) and lengths (clips,) of one stretch."""
        start = index * self.size
        lengths = [min(self.size, len(mfcc) - start) for mfcc in self.mfccs[: self.clips(index)]]
        contexts = np.zeros((len(lengths), lengths[0], CONTEXT_SIZE), np.float32)
        for clip, length in enumerate(lengths):
            windows = context_windows(self.mfccs[clip], start, start + length)
            if self._whitening:
                mean, std = self._whitening[clip]
                windows = ((windows.astype(np.float64) - mean) / std).astype(np.float32)
            contexts[clip, :length] = windows
        return torch.from_numpy(contexts).to(self.model.network.layer_1.weight.device), torch.tensor(lengths)


def raw_logits(model: SpeechModel, clips: Sequence[Samples]) -> list[Steps]:
    """(steps, 29) raw logits of every clip, 50 steps per second; clips are mono samples in [-1, 1] at 16 kHz.

    A clip of n samples has n / 320 steps where that is whole, and at least one. The values of a clip do not depend on
    the others (beyond rounding, 1e-5).
    """
    mfccs = [model.mfcc(samples) for samples in clips]
    order = sorted(range(len(clips)), key=lambda i: -len(mfccs[i]))
    found: dict[int, Steps] = {}
    with torch.inference_mode(), _full_precision():
        for first in range(0, len(order), MAX_CLIPS):
            members = order[first : first + MAX_CLIPS]
            batch = _Batch(model, [mfccs[i] for i in members], ROWS // len(members))
            run = _both_ways if model.network.config.bidirectional else _forward
            parts: list[list[Steps]] = [[] for _ in members]
            for logits, lengths in run(batch):
                for part, values, length in zip(parts, logits, lengths, strict=False):
                    part.append(values[: int(length)].cpu().numpy())
            # Two directions are worked off from the end.
            turn = -1 if model.network.config.bidirectional else 1
            found |= {i: np.concatenate(part[::turn]) for i, part in zip(members, parts, strict=True)}
    return [found[i] for i in range(len(clips))]


def _forward(batch: _Batch) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Logits and lengths, stretch by stretch."""
    network = batch.model.network
    state = network.initial_state(len(batch.mfccs))
    for index in range(batch.stretches):
        contexts, lengths = batch.stretch(index)
        logits, state = network(contexts, lengths, _first(state, len(lengths)))
        yield logits, lengths


def _both_ways(batch: _Batch) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Logits and lengths of a network with two directions, the last stretch first."""
    network = batch.model.network
    before = [network.initial_state(len(batch.mfccs))]
    for index in range(batch.stretches - 1):
        contexts, lengths = batch.stretch(index)
        before.append(network.advance(contexts, lengths, _first(before[-1], len(lengths))))
    behind = network.initial_state(0)
    for index in reversed(range(batch.stretches)):
        contexts, lengths = batch.stretch(index)
        # Clips that end in this stretch have nothing behind them: zeros.
        fresh = network.initial_state(len(lengths) - behind[0].shape[1])
        pairs = zip(before[index], behind, fresh, strict=True)
        hidden, cell = (torch.cat([b[:1, : len(lengths)], torch.cat([a[1:], f[1:]], 1)]) for b, a, f in pairs)
        logits, behind = network(contexts, lengths, (hidden, cell))
        yield logits, lengths


def _first(state: State, clips: int) -> State:
    return state[0][:, :clips].contiguous(), state[1][:, :clips].contiguous()


@contextmanager
def _full_precision() -> Iterator[None]:
    """No TF32 on a GPU: features must not depend on the machine beyond rounding."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def floored_log_probabilities(logits: Steps) -> Steps:
    """log(p + 1e-8) of raw logits (steps, 29): from -18.42 to 0, finite whatever the logits are."""
    values = log_probabilities(torch.from_numpy(logits)).numpy()
    return np.asarray(np.minimum(np.logaddexp(values, np.float32(np.log(FLOOR))), 0.0), np.float32)
