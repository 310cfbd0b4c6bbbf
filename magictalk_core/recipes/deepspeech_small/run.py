"""The whole recipe in one call: shards, training, figures, weights. Each part goes on where its files end."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.recipes.deepspeech_small.ctc import TrainingNetwork, TrainingSettings, train
from magictalk_core.recipes.deepspeech_small.data import DataSettings, Utterance, build_shards, read_shard
from magictalk_core.recipes.deepspeech_small.evaluate import error_rate, retrieval
from magictalk_core.recipes.deepspeech_small.synthesis import check_engines, deliver, draw_delivery
from magictalk_core.recipes.deepspeech_small.texts import lexicon, sentences
from magictalk_core.recipes.deepspeech_small.weights import hear, log_probabilities, settings_sha256, write_weights
from magictalk_core.speech.logmel import log_mel
from magictalk_core.speech.mfcc import mfcc_093
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE
from magictalk_core.work.provenance import Work

__all__ = [
    "SAMPLE", "WEIGHTS_NAME", "RecipeSettings", "at_25_fps", "heard_error_rate", "pairs_by_two_voices",
    "retrieval_figures", "run_recipe",
]  # fmt: skip

WEIGHTS_NAME = "deepspeech_small.safetensors"
FRAME_SAMPLES = SAMPLE_RATE // FRAME_RATE

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class RecipeSettings:
    """Everything that decides the weights; its sha256 is stored beside them."""

    version: int = 1
    seed: int = 1
    shards: int = 192
    test_shards: int = 2
    utterances: int = 128
    copies: int = 3
    engines: tuple[str, ...] = ("espeak-ng", "flite")
    hidden: int = 448
    batch_frames: int = 3600
    steps: int = 8000
    minutes: float = 0.0
    pairs: int = 40

    def data(self, *, held_out: bool) -> DataSettings:
        return DataSettings(self.seed, self.utterances, self.copies, self.engines, held_out=held_out)

    def training(self, threads: int) -> TrainingSettings:
        return TrainingSettings(
            seed=self.seed, hidden=self.hidden, batch_frames=self.batch_frames, steps=self.steps, minutes=self.minutes,
            threads=threads,
        )  # fmt: skip


SAMPLE = RecipeSettings(
    shards=1,
    test_shards=1,
    utterances=6,
    copies=1,
    engines=("espeak-ng",),
    hidden=32,
    batch_frames=1000,
    steps=4,
    pairs=3,
)
"""Seconds long: shows that every part runs; hears nothing."""


def heard_error_rate(network: TrainingNetwork, utterances: list[Utterance]) -> float:
    """Character error rate with greedy decoding."""
    return error_rate([u.text for u in utterances], [hear(network, u.mfcc) for u in utterances])


def pairs_by_two_voices(seed: int, count: int, engines: tuple[str, ...]) -> list[tuple[str, Samples, Samples]]:
    """Held-out sentences, each said by two different held-out voices; samples at 16 kHz."""
    rng = random.Random(f"pairs/{seed}")
    pairs: list[tuple[str, Samples, Samples]] = []
    for text in sentences(rng.getrandbits(48), lexicon(), held_out=True):
        deliveries = [draw_delivery(rng, rng.choice(engines), held_out=True) for _ in range(2)]
        if len(text) < 15 or deliveries[0].voice.name.split("+")[-1] == deliveries[1].voice.name.split("+")[-1]:
            continue
        try:
            pairs.append((text, deliver(text, deliveries[0]), deliver(text, deliveries[1])))
        except UserError:
            continue
        if len(pairs) == count:
            break
    return pairs


def at_25_fps(steps: Samples, n_frames: int) -> Samples:
    """(n_frames, C) of (T, C) values at 50 per second, by linear interpolation per channel as the followed works do."""
    places = np.linspace(0, len(steps) - 1, n_frames)
    return np.stack([np.interp(places, np.arange(len(steps)), channel) for channel in steps.T], 1).astype(np.float32)


def _log_mel(sound: Samples) -> Samples:
    return log_mel(sound, len(sound) // FRAME_SAMPLES)


def retrieval_figures(
    pairs: list[tuple[str, Samples, Samples]], scores: Callable[[Samples], Samples]
) -> dict[str, float]:
    """Retrieval accuracy at 25 fps of the log-probabilities `scores` gives ((T, 29) of samples), and of log-mel."""

    def features(sound: Samples) -> Samples:
        return at_25_fps(np.maximum(scores(sound), np.log(1e-8)).astype(np.float32), len(sound) // FRAME_SAMPLES)

    sides = [[first for _, first, _ in pairs], [second for _, _, second in pairs]]
    small, mel = ([[f(sound) for sound in side] for side in sides] for f in (features, _log_mel))
    return {
        "retrieval_small": retrieval(small[0], small[1]),
        "retrieval_logmel": retrieval(mel[0], mel[1]),
        "retrieval_chance": 1.0 / len(pairs),
    }


def run_recipe(out: Path, settings: RecipeSettings, *, processes: int = 1, threads: int = 2) -> dict[str, float]:
    """Write `deepspeech_small.safetensors` and `figures.json` into `out`; shards and checkpoint stay, to resume."""
    check_engines(settings.engines)
    # `out` is <workspace>/recipes/<model>; a recipe is also run by hand into any folder.
    home = out.parent.parent if out.parent.name == "recipes" else None
    work = Work(home, "recipe", out / WEIGHTS_NAME, str(settings.version), (), asdict(settings))
    shards = out / "shards"
    build_shards(list(range(settings.shards)), shards, settings.data(held_out=False), processes)
    tests = build_shards(list(range(settings.test_shards)), shards, settings.data(held_out=True), processes)
    test = [utterance for path in tests for utterance in read_shard(path)]
    network = train(shards, out, settings.training(threads), test)
    figures = {"test_cer": heard_error_rate(network, test)}
    pairs = pairs_by_two_voices(settings.seed, settings.pairs, settings.engines)
    figures |= retrieval_figures(pairs, lambda sound: log_probabilities(network, mfcc_093(sound)))
    metadata = {
        "recipe": f"magictalk_core.recipes.deepspeech_small {settings.version}", "seed": str(settings.seed),
        "steps": str(settings.steps), "settings_sha256": settings_sha256(settings),
    }  # fmt: skip
    figures["bytes"] = float(write_weights(out / WEIGHTS_NAME, network, metadata))
    (out / "figures.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    work.record(beside=[out / "figures.json"])
    return figures
