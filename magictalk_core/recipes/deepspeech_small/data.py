"""Spoken sentences as shards of MFCC on disk, one file per shard, each a function of the settings and its number.

A shard appears under its name only when it is whole, so an interrupted build goes on where it stopped, and several
processes may build different shards of one folder.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.recipes.deepspeech_small.augment import augmented, padded
from magictalk_core.recipes.deepspeech_small.synthesis import Delivery, deliver, draw_delivery, resampled
from magictalk_core.recipes.deepspeech_small.texts import lexicon, sentences
from magictalk_core.speech.mfcc import mfcc_093
from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = ["DataSettings", "Utterance", "build_shard", "build_shards", "read_shard", "recorded", "shard_path"]


@dataclass(frozen=True)
class DataSettings:
    """What is spoken. `copies` are spoilt recordings of each utterance; `flite_share` how many of them flite says."""

    seed: int = 1
    utterances: int = 128
    copies: int = 3
    engines: tuple[str, ...] = ("espeak-ng", "flite")
    flite_share: float = 0.45
    held_out: bool = False


@dataclass(frozen=True)
class Utterance:
    """One recording: `mfcc` (frames, 26) at 50 per second, what is said, by whom."""

    mfcc: NDArray[np.float32]
    text: str
    voice: str


def shard_path(folder: Path, index: int, settings: DataSettings) -> Path:
    return folder / f"{'test' if settings.held_out else 'train'}-{settings.seed}-{index:05d}.npz"


def _spoken(settings: DataSettings, index: int) -> Iterator[tuple[str, Delivery, NDArray[np.float32]]]:
    rng = random.Random(f"{settings.seed}/{settings.held_out}/{index}")
    stream = sentences(rng.getrandbits(48), lexicon(), held_out=settings.held_out)
    for _ in range(settings.utterances):
        use_flite = "flite" in settings.engines and rng.random() < settings.flite_share
        engine = (
            "flite" if use_flite else next(e for e in settings.engines if e != "flite" or len(settings.engines) == 1)
        )
        delivery = draw_delivery(rng, engine, held_out=settings.held_out)
        text = next(stream)
        try:
            yield text, delivery, deliver(text, delivery)
        except UserError:
            continue  # a variant that cannot say this sentence: the shard is one shorter


def recorded(
    sound: NDArray[np.float32], rng: np.random.Generator, voices: list[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """MFCC of one spoilt copy of `sound`; each copy is a little faster or slower too."""
    speed = float(rng.uniform(0.93, 1.07))
    return mfcc_093(augmented(padded(resampled(sound, SAMPLE_RATE, speed), rng), rng, voices))


def build_shard(index: int, folder: Path, settings: DataSettings) -> Path:
    """Speak, spoil and analyse shard `index` unless it is there. Test shards stay clean apart from their level."""
    path = shard_path(folder, index, settings)
    if path.is_file():
        return path
    rng = np.random.default_rng([settings.seed, index, int(settings.held_out)])
    mfccs: list[NDArray[np.float16]] = []
    texts: list[str] = []
    names: list[str] = []
    voices: list[NDArray[np.float32]] = []
    for text, delivery, sound in _spoken(settings, index):
        for _ in range(1 if settings.held_out else settings.copies):
            mfcc = mfcc_093(padded(sound, rng)) if settings.held_out else recorded(sound, rng, voices)
            mfccs.append(mfcc.astype(np.float16))
            texts.append(text)
            names.append(f"{delivery.voice.engine}:{delivery.voice.name}")
        voices = [*voices[-19:], sound]
    lengths = np.array([len(m) for m in mfccs], np.int32)
    partial_path = path.with_suffix(f".{os.getpid()}.part")
    with partial_path.open("wb") as file:
        np.savez(file, mfcc=np.concatenate(mfccs), lengths=lengths, texts=json.dumps(texts), voices=json.dumps(names))
    partial_path.replace(path)
    return path


def build_shards(indices: list[int], folder: Path, settings: DataSettings, processes: int = 1) -> list[Path]:
    """All these shards, in order, built by so many processes."""
    folder.mkdir(parents=True, exist_ok=True)
    build = partial(build_shard, folder=folder, settings=settings)
    if processes <= 1:
        return [build(index) for index in indices]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(build, indices))


def read_shard(path: Path) -> list[Utterance]:
    with np.load(path) as file:
        ends = np.cumsum(file["lengths"])
        whole, texts, voices = file["mfcc"], json.loads(str(file["texts"])), json.loads(str(file["voices"]))
    starts = np.concatenate([[0], ends[:-1]])
    return [
        Utterance(whole[a:b].astype(np.float32), text, voice)
        for a, b, text, voice in zip(starts, ends, texts, voices, strict=True)
    ]
