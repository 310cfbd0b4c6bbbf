"""The spoken corpus: speakers of three engines, their sentences, what is heard of them, and their mouths."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from magictalk_core.recipes.base_voice.articulation import Span, mouth_curves
from magictalk_core.recipes.base_voice.speaking import Speaker, Spoken, say
from magictalk_core.recipes.deepspeech_small.augment import augmented, coloured_noise
from magictalk_core.recipes.deepspeech_small.synthesis import resampled
from magictalk_core.recipes.deepspeech_small.texts import lexicon, sentences
from magictalk_core.speech.features import speech_features
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

__all__ = ["SPEAKERS", "Recording", "RecordingSettings", "record"]

Samples = NDArray[np.float32]

_ESPEAK = ("en-us+m1", "en-us+m2", "en-us+m5", "en-us+m7", "en-us+f1", "en-us+f3", "en-us+f5", "en-us+f2", "en+m3",
           "en+f4", "en-gb-x-rp+m6", "en-gb-scotland+f2", "en-us+m4", "en-us+f4", "en-029+m1", "en+f1")  # fmt: skip
_OTHERS = {
    "flite": ("slt", "rms", "awb", "kal16"),
    "festival": ("kal_diphone", "ked_diphone", "cmu_us_slt_arctic_hts"),
}
_PACES = (0.85, 1.0, 1.2)
_FASTEST, _SLOWEST = 1.15, 0.85
"""Of espeak-ng's speakers."""
_DIGITAL_SILENCE = 0.3
"""Share of the recordings without a voice that hold no noise either."""


def _speakers() -> Iterator[Speaker]:
    for index, voice in enumerate(_ESPEAK):
        share = index / (len(_ESPEAK) - 1)
        pace = _SLOWEST + (_FASTEST - _SLOWEST) * ((index * 7) % len(_ESPEAK)) / (len(_ESPEAK) - 1)
        yield Speaker("espeak-ng", voice, round(pace, 3), round(25 + 50 * share))
    for engine, voices in _OTHERS.items():
        for voice in voices:
            yield from (Speaker(engine, voice, pace) for pace in _PACES)


SPEAKERS = tuple(_speakers())


@dataclass(frozen=True)
class RecordingSettings:
    """`sentences` for each speaker; `effort` of their mouths, at which jaws move as far as those of people; `spoilt`
    of the recordings get room, noise, another microphone; `stretch`: vocal tracts become up to so many octaves longer
    or shorter; `silence_s` is how long each speaker says nothing."""

    seed: int = 1
    sentences: int = 8
    effort: float = 0.67
    spoilt: float = 0.5
    stretch: float = 0.25
    silence_s: float = 4.0


@dataclass(frozen=True, eq=False)
class Recording:
    """`features` (frames, F) of the voice and `mouth` (frames, M), 25 a second; `spans` are the phones."""

    speaker: Speaker
    text: str
    features: NDArray[np.float32]
    mouth: NDArray[np.float32]
    spans: tuple[Span, ...] = ()


def _in_pauses(spoken: Spoken, rng: np.random.Generator) -> Spoken:
    """With 0.2 to 0.8 s of silence before and behind: lips rest there."""
    before, behind = (float(rng.uniform(0.2, 0.8)) for _ in range(2))
    samples = np.pad(spoken.samples, (round(before * SAMPLE_RATE), round(behind * SAMPLE_RATE)))
    return replace(spoken, samples=samples, spans=tuple((p, a + before, b + before) for p, a, b in spoken.spans))


def _another_size(spoken: Spoken, octaves: float) -> Spoken:
    """The speaker smaller or larger: formants and pitch up by `octaves`, time shorter by as much."""
    ratio = 2.0**octaves
    samples = resampled(spoken.samples, SAMPLE_RATE, ratio)
    scale = len(samples) / len(spoken.samples)
    return replace(spoken, samples=samples, spans=tuple((p, a * scale, b * scale) for p, a, b in spoken.spans))


def _without_voice(frames: int, rng: np.random.Generator) -> Samples:
    """Nothing, or the noise of a room between -75 and -45 dBFS: lips rest."""
    length = frames * SAMPLE_RATE // FRAME_RATE
    if rng.random() < _DIGITAL_SILENCE:
        return np.zeros(length, np.float32)
    level = 10 ** (float(rng.uniform(-75.0, -45.0)) / 20)
    return coloured_noise(length, float(rng.uniform(0.0, 2.0)), rng) * np.float32(level)


def record(
    settings: RecordingSettings, feature: str, mouth: Sequence[str], speakers: Sequence[Speaker] = SPEAKERS
) -> Iterator[Recording]:
    """Every speaker's sentences, none twice, and once nothing, with the channels `mouth`; `feature` is what hears."""
    texts = sentences(random.Random(settings.seed).getrandbits(48), lexicon(), held_out=False)
    for number, speaker in enumerate(speakers):
        rng = np.random.default_rng([settings.seed, number])
        for spoken in say([next(texts) for _ in range(settings.sentences)], speaker):
            made = _another_size(spoken, float(rng.uniform(-settings.stretch, settings.stretch)))
            made = _in_pauses(made, rng)
            samples = augmented(made.samples, rng) if rng.random() < settings.spoilt else made.samples
            frames = len(samples) * FRAME_RATE // SAMPLE_RATE
            heard = speech_features(samples, frames, feature)
            lips = mouth_curves(made.spans, frames, mouth, settings.effort)
            yield Recording(speaker, spoken.text, heard, lips, made.spans)
        frames = round(settings.silence_s * FRAME_RATE)
        heard = speech_features(_without_voice(frames, rng), frames, feature)
        yield Recording(speaker, "", heard, np.zeros((frames, len(mouth)), np.float32))
