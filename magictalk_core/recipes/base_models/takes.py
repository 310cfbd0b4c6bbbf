"""Recordings performed in moods, packed as a training set: the same voice calm and in emotions, so that only the style
says which."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.config import TrainingSetConfig
from magictalk_core.recipes.base_models.expressions import MANNERS, STRENGTHS
from magictalk_core.recipes.base_models.performance import Persona, perform
from magictalk_core.recipes.base_voice.recordings import Recording
from magictalk_core.recipes.base_voice.speaking import Speaker
from magictalk_core.speech.features import feature_spec
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.hashes import digest_of
from magictalk_core.training_set.build import write_info
from magictalk_core.training_set.dataset import TRAINING_SET_VERSION
from magictalk_core.training_set.packing import Packer
from magictalk_core.vocabulary.arkit import STATE_NAMES
from magictalk_core.vocabulary.clips import Split, clip_id
from magictalk_core.vocabulary.emotions import NEUTRAL

__all__ = ["CORPUS", "TRACKER", "Take", "speaker_name", "takes_of", "write_training_set"]

CORPUS = "base_voices"
TRACKER = "rules"
"""In place of a tracker: the curves are those of the rules."""

_WEAKEST = 0.2
_EMOTIONS = tuple(name for name in MANNERS if name != NEUTRAL)
_MOODS_PER_RECORDING = 2


@dataclass(frozen=True, eq=False)
class Take:
    """A recording in a mood: motion (n, 57) as `STATE_NAMES`. `number`: of the recording among its speaker's."""

    recording: Recording
    number: int
    emotion: str
    strength: float
    motion: NDArray[np.float32]


def speaker_name(speaker: Speaker) -> str:
    """Unique among the speakers of a recipe, as part of an id."""
    return f"{speaker.engine}-{speaker.voice}-{speaker.pace:g}"


def takes_of(recordings: Sequence[Recording], seed: int) -> Iterator[Take]:
    """Every recording calm and in two emotions, which take turns, so that a speaker has each about equally often.

    A speaker has one strength per emotion and one way of moving: what style frames of other takes can tell.
    """
    by_speaker: dict[str, list[Recording]] = {}
    for recording in recordings:
        by_speaker.setdefault(speaker_name(recording.speaker), []).append(recording)
    for place, mine in enumerate(by_speaker.values()):
        random = np.random.default_rng([seed, place])
        persona = Persona.drawn(random)
        strengths = {emotion: float(random.uniform(_WEAKEST, 1.0)) for emotion in _EMOTIONS} | {NEUTRAL: 0.0}
        for number, recording in enumerate(mine):
            turn = _MOODS_PER_RECORDING * number + place
            moods = [_EMOTIONS[(turn + i) % len(_EMOTIONS)] for i in range(_MOODS_PER_RECORDING)]
            for emotion in (NEUTRAL, *moods):
                strength = strengths[emotion]
                motion = perform(recording.mouth, MANNERS[emotion], strength, persona, random)
                yield Take(recording, number, emotion, strength, motion)


def _level(strength: float) -> int:
    """MEAD's level that is nearest."""
    return min(STRENGTHS, key=lambda level: abs(STRENGTHS[level] - strength))


def _labels(take: Take, split: Split) -> dict[str, object]:
    speaker = speaker_name(take.recording.speaker)
    source = f"{speaker}-{take.number}"
    return {
        "clip_id": clip_id(CORPUS, source, take.emotion),
        "corpus": CORPUS,
        "speaker": speaker,
        "source": source,
        "emotion": take.emotion,
        "level": 1 if take.emotion == NEUTRAL else _level(take.strength),
        "split": str(split),
        "clip_start": 0,
    }


def write_training_set(
    recordings: Sequence[Recording],
    held_out: frozenset[str],
    feature: str,
    config: TrainingSetConfig,
    seed: int,
    out: Path,
) -> dict[str, int]:
    """Pack the takes of `recordings` into `out`; the voices `held_out` are its validation split. Returns counts.

    Takes shorter than a window are left out. `seed` of the faces.
    """
    size = feature_spec(feature).size
    with (
        atomic_directory(out) as folder,
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tmp-") as scratch,
        closing(Packer(folder, Path(scratch), len(STATE_NAMES), size)) as packer,
    ):
        for take in takes_of(recordings, seed):
            if len(take.motion) >= config.window:
                split = Split.VAL if take.recording.speaker.voice in held_out else Split.TRAIN
                packer.add(_labels(take, split), take.motion, take.recording.features)
        counts = packer.finish(config.min_std)
        made_of = {"seed": seed, "texts": [recording.text for recording in recordings]}
        info = {
            "version": TRAINING_SET_VERSION,
            "channels": list(STATE_NAMES),
            "feature_id": feature,
            "feature_size": size,
            "tracker_kind": TRACKER,
            "window": config.window,
            "stride": config.stride,
            "corpora": {CORPUS: digest_of(made_of)},
            "counts": counts,
        }
        write_info(folder, info)
    return counts
