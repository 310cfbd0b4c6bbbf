"""CTC training of the small DeepSpeech network on shards of MFCC; stops and resumes from its folder at any time.

The training network is the `DeepSpeech` class on whitened input; `weights.py` folds the whitening into the first layer,
so that the shipped weights read plain MFCC.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from magictalk_core.errors import UserError
from magictalk_core.recipes.deepspeech_small.checkpoint import load_checkpoint, save_checkpoint
from magictalk_core.recipes.deepspeech_small.data import Utterance, read_shard
from magictalk_core.recipes.deepspeech_small.evaluate import error_rate, greedy_text
from magictalk_core.speech.deepspeech import ALPHABET, BLANK, DeepSpeech, DeepSpeechConfig
from magictalk_core.speech.mfcc import CEPSTRA, CONTEXT
from magictalk_core.training.arithmetic import torch_threads

__all__ = ["CHECKPOINT", "TrainingNetwork", "TrainingSettings", "batch_of", "encoded", "train"]

Mfcc = NDArray[np.float32]

CHECKPOINT = "checkpoint.safetensors"
_SAVE_SECONDS = 90.0


@dataclass(frozen=True)
class TrainingSettings:
    """Sizes and schedule. One of `steps` and `minutes` ends the training and sets the pace of the cosine decay."""

    seed: int = 1
    hidden: int = 448
    batch_frames: int = 3600
    peak_rate: float = 1.2e-3
    warmup_steps: int = 150
    clip_norm: float = 2.0
    mask_frames: int = 0
    group: int = 6
    evaluate_every: int = 250
    steps: int = 0
    minutes: float = 0.0
    threads: int = 2
    bfloat16: bool = True


class TrainingNetwork(nn.Module):
    """(B, T, 26) MFCC to (B, T, 29) raw scores; `mean` and `std` (26) whiten the input, padding included."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(CEPSTRA))
        self.register_buffer("std", torch.ones(CEPSTRA))
        self.network = DeepSpeech(DeepSpeechConfig(hidden, hidden))
        for layer in (self.network.layer_1, self.network.layer_2, self.network.layer_3, self.network.layer_5):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        # A forget gate that starts open carries the gradient through a word.
        with torch.no_grad():
            dict(self.network.lstm.named_parameters())["bias_ih_l0"][hidden : 2 * hidden] = 1.0

    def forward(self, mfcc: torch.Tensor) -> torch.Tensor:
        padded = nn.functional.pad(mfcc, (0, 0, CONTEXT, CONTEXT))
        white = (padded - self.mean) / self.std
        contexts = white.unfold(1, 2 * CONTEXT + 1, 1).transpose(2, 3).flatten(2)
        scores: torch.Tensor = self.network(contexts)[0]
        return scores


def encoded(text: str) -> list[int]:
    """Class numbers of a text in the 28 characters."""
    return [ALPHABET.index(character) for character in text]


def _masked(mfcc: Mfcc, rng: np.random.Generator, width: int, mean: Mfcc) -> Mfcc:
    """A copy with one to three short stretches replaced by the average frame (SpecAugment in time)."""
    if not width or len(mfcc) < 4 * width:
        return mfcc
    result = mfcc.copy()
    for _ in range(int(rng.integers(0, 4))):
        start = int(rng.integers(0, len(mfcc) - width))
        result[start : start + int(rng.integers(1, width + 1))] = mean
    return result


def batch_of(mfccs: list[Mfcc]) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, T, 26) float with zeros after each end, and the lengths. T is a multiple of 20, so that few shapes occur."""
    lengths = torch.tensor([len(m) for m in mfccs])
    whole = np.zeros((len(mfccs), -(-int(lengths.max()) // 20) * 20, CEPSTRA), np.float32)
    for row, mfcc in zip(whole, mfccs, strict=True):
        row[: len(mfcc)] = mfcc
    return torch.from_numpy(whole), lengths


def _batches(
    utterances: list[Utterance], frames: int, rng: np.random.Generator, *, shortest_first: bool
) -> Iterator[list[Utterance]]:
    """Batches of like lengths and about `frames` frames with padding, in random order unless `shortest_first`."""
    # A text longer than its frames has no CTC path; repeated letters need a blank between them.
    fitting = [u for u in utterances if len(u.mfcc) > len(u.text) + sum(a == b for a, b in pairwise(u.text))]
    order = sorted(fitting, key=lambda u: len(u.mfcc))
    batches: list[list[Utterance]] = [[]]
    for utterance in order:
        if batches[-1] and (len(batches[-1]) + 1) * len(utterance.mfcc) > frames:
            batches.append([])
        batches[-1].append(utterance)
    indices = np.arange(len(batches)) if shortest_first else rng.permutation(len(batches))
    yield from (batches[i] for i in indices if batches[i])


class _Trainer:
    """The state of one training; everything that resuming needs is in `CHECKPOINT`."""

    def __init__(self, shards: Path, out: Path, settings: TrainingSettings, test: list[Utterance]) -> None:
        torch.manual_seed(settings.seed)
        self.shards, self.out, self.settings, self.test = shards, out, settings, test
        self.network = TrainingNetwork(settings.hidden)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=settings.peak_rate, weight_decay=0.01)
        self.step, self.groups, self.seconds = 0, 0, 0.0
        self.frames_seen = 0
        self.visits: dict[str, int] = {}
        self.checkpoint = out / CHECKPOINT
        if self.checkpoint.is_file():
            self._load()

    def _load(self) -> None:
        facts = load_checkpoint(self.checkpoint, self.network, self.optimizer)
        self.step, self.groups, self.seconds = facts["step"], facts["groups"], facts["seconds"]
        self.frames_seen, self.visits = facts["frames_seen"], facts["visits"]

    def save(self) -> None:
        facts = {
            "step": self.step, "groups": self.groups, "seconds": self.seconds, "frames_seen": self.frames_seen,
            "visits": self.visits, "settings": asdict(self.settings),
        }  # fmt: skip
        save_checkpoint(self.checkpoint, self.network, self.optimizer, facts)

    def progress(self) -> float:
        """0 at the start, 1 at the end."""
        if self.settings.steps:
            return min(1.0, self.step / self.settings.steps)
        return min(1.0, self.seconds / (60.0 * self.settings.minutes))

    def next_group(self, rng: np.random.Generator) -> list[Utterance]:
        """The utterances of the shards seen least often; a folder that still grows is read evenly too."""
        names = sorted(path.name for path in self.shards.glob("train-*.npz"))
        if not names:
            raise UserError(f"no training shards in {self.shards}")
        tie = dict(zip(names, rng.permutation(len(names)), strict=True))
        chosen = sorted(names, key=lambda name: (self.visits.get(name, 0), tie[name]))[: self.settings.group]
        for name in chosen:
            self.visits[name] = self.visits.get(name, 0) + 1
        return [utterance for name in chosen for utterance in read_shard(self.shards / name)]

    def whiten(self, utterances: list[Utterance]) -> None:
        whole = np.concatenate([u.mfcc for u in utterances])
        self.network.mean.copy_(torch.from_numpy(whole.mean(0)))
        self.network.std.copy_(torch.from_numpy(whole.std(0) + 1e-3))

    def learn(self, batch: list[Utterance], rng: np.random.Generator) -> float:
        """One step; the mean CTC loss per character."""
        settings = self.settings
        mean = self.network.mean.numpy()
        mfccs, lengths = batch_of([_masked(u.mfcc, rng, settings.mask_frames, mean) for u in batch])
        targets = [encoded(u.text) for u in batch]
        warm = min(1.0, (self.step + 1) / settings.warmup_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.peak_rate * warm * max(0.01, 0.5 * (1 + math.cos(math.pi * self.progress())))
        # Products in bfloat16 where the processor has them: 1.7 times faster; weights and loss stay in float32.
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            scores = self.network(mfccs)
        scores = scores.float().log_softmax(-1).transpose(0, 1)
        flat = torch.tensor([number for target in targets for number in target])
        counts = torch.tensor([len(target) for target in targets])
        loss = nn.functional.ctc_loss(scores, flat, lengths, counts, BLANK, reduction="sum", zero_infinity=True)
        loss = loss / counts.sum()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip_norm)
        self.optimizer.step()
        self.step += 1
        self.frames_seen += int(lengths.sum())
        return float(loss.detach())

    @torch.no_grad()
    def evaluate(self) -> float:
        """Character error rate on the test utterances."""
        self.network.eval()
        said = []
        for start in range(0, len(self.test), 32):
            part = self.test[start : start + 32]
            mfccs, lengths = batch_of([u.mfcc for u in part])
            scores = self.network(mfccs).numpy()
            said += [greedy_text(row[:length]) for row, length in zip(scores, lengths, strict=True)]
        self.network.train()
        return error_rate([u.text for u in self.test], said)

    def run(self) -> Iterator[dict[str, float]]:
        """Train to the end; yields a line for the log every `evaluate_every` steps and at the end."""
        losses: list[float] = []
        started = saved = time.monotonic()
        while self.progress() < 1.0:
            rng = np.random.default_rng([self.settings.seed, self.groups])
            utterances = self.next_group(rng)
            if self.step == 0:
                self.whiten(utterances)
            # The first groups go from short to long: long utterances teach nothing before letters are known.
            for batch in _batches(utterances, self.settings.batch_frames, rng, shortest_first=self.groups < 2):
                losses.append(self.learn(batch, rng))
                now = time.monotonic()
                # A machine put to sleep does not train.
                self.seconds, started = self.seconds + min(now - started, 30.0), now
                if self.step % self.settings.evaluate_every == 0 or self.progress() >= 1.0:
                    yield self._line(losses)
                    losses = []
                if now - saved > _SAVE_SECONDS:
                    self.save()
                    saved = now
                if self.progress() >= 1.0:
                    break
            self.groups += 1
        self.save()

    def _line(self, losses: list[float]) -> dict[str, float]:
        line = {"step": float(self.step), "seconds": self.seconds, "loss": float(np.mean(losses))}
        line["hours_heard"] = self.frames_seen / 180_000
        line["shards"] = float(len(self.visits))
        if self.test:
            line["test_cer"] = self.evaluate()
        return {key: round(value, 4) for key, value in line.items()}


def train(shards: Path, out: Path, settings: TrainingSettings, test: list[Utterance]) -> TrainingNetwork:
    """Train on the shards of a folder, or go on where `out` stopped; the log is `out/log.jsonl`."""
    if bool(settings.steps) == bool(settings.minutes):
        raise UserError("give the training either a number of steps or a number of minutes")
    out.mkdir(parents=True, exist_ok=True)
    trainer = _Trainer(shards, out, settings, test)
    with torch_threads(settings.threads), (out / "log.jsonl").open("a", encoding="utf-8") as log:
        for line in trainer.run():
            log.write(json.dumps(line) + "\n")
            log.flush()
    return trainer.network.eval()
