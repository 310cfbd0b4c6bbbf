"""How well the offset between sound and picture of 14 real clips is found: the expert of the package, and cheaper ways.

    python benchmarks/offsets.py --cache /tmp/real

Clips and their offsets: real_clips.py; no method ever saw one of them. `late`: of the clips whose sound is 3 frames or
more late, those found within 2 frames, and those of them that the gate would move back. `in sync`: of the clips at most
a frame off, those that the gate would move, which are false alarms. `+-10`: of all clips with the mouth moved by 10
frames either way, those found within 2 frames, and those of them that the gate would move back. Chance: the expert,
given the voice of the next clip. All methods are judged alike: evidence at every shift, the same belief, the same
threshold; what a frame is worth was fitted for each on synthetic voices (recipes/base_models/sync.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from real_clips import LAGS, load_clip
from real_voices import decibels

from magictalk_core.config import SyncGateConfig
from magictalk_core.models.audio2bs.model import Audio2BSModel
from magictalk_core.models.shipped.base import base_folder
from magictalk_core.models.sync_expert.belief import OffsetBelief, believed
from magictalk_core.models.sync_expert.linear import (
    LINEAR_SYNC,
    MOUTH_STEMS,
    Evidence,
    LinearSync,
    movement,
    stem_columns,
)
from magictalk_core.speech.features import speech_features
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

Values = NDArray[np.float64]

MOVED, NEAR, LATE, IN_SYNC = 10, 2, 3, 1
TOLERANCE = SyncGateConfig().tolerance
SHARPNESS = {"loudness": 0.148, "jaw": 0.148, "readout": 0.331}
"""Of the cheaper ways, fitted as `recipes.base_models.sync` fits that of the expert."""


@dataclass(frozen=True, eq=False)
class Heard:
    """A clip frame by frame: its `mouth` (n, K), the `level` (n,) of its sound in dB, its `speech` features (n, F), and
    the `readout` (n, K): the mouth that the package's Audio2BS makes of them."""

    name: str
    lag: int
    mouth: Values
    level: Values
    speech: NDArray[np.float32]
    readout: Values

    def moved(self, late: int) -> Heard:
        """With the mouth later by so many frames than it is, cut to what meets."""
        n = len(self.mouth) - abs(late)
        mouth = self.mouth[max(0, -late) :][:n]
        level, speech, readout = (v[max(0, late) :][:n] for v in (self.level, self.speech, self.readout))
        return Heard(self.name, self.lag + late, mouth, level, speech, readout)

    def with_voice_of(self, other: Heard) -> Heard:
        n = min(len(self.mouth), len(other.mouth))
        return Heard(self.name, self.lag, self.mouth[:n], other.level[:n], other.speech[:n], other.readout[:n])


Method = Callable[[Heard], OffsetBelief]


def heard_clip(clips: Path, name: str, cache: Path, readout: Audio2BSModel, feature: str) -> Heard:
    clip = load_clip(clips, name, cache)
    frames = min(len(clip.mouth), len(clip.samples) * 25 // 16_000)
    speech = speech_features(clip.samples, frames, feature)
    made = readout.neutral(readout.folder.normal_speech(speech))[0][0].numpy()
    mouth = stem_columns(clip.mouth[:frames], ARKIT_NAMES, MOUTH_STEMS)
    level = decibels(clip.samples, frames)
    return Heard(name, clip.lag, mouth, level, speech, stem_columns(made, readout.mouth, MOUTH_STEMS))


def correlated(what: str, heard: Callable[[Heard], Values], channels: int) -> Method:
    def method(clip: Heard) -> OffsetBelief:
        weights = np.full(channels, 1 / channels)
        found = Evidence.of(movement(heard(clip)), movement(clip.mouth[:, :channels]), weights)
        return believed(found.correlation, found.frames, SHARPNESS[what])

    return method


def expert_method(expert: LinearSync) -> Method:
    def method(clip: Heard) -> OffsetBelief:
        found = expert.evidence(clip.mouth, clip.speech)
        return believed(found.correlation, found.frames, expert.sharpness)

    return method


def row(name: str, method: Method, clips: list[Heard], threshold: float) -> str:
    def is_moved(belief: OffsetBelief) -> bool:
        return abs(belief.offset) > TOLERANCE and belief.confidence >= threshold

    def shares(group: list[Heard]) -> str:
        beliefs = [(method(clip), clip.lag) for clip in group]
        near = [(abs(belief.offset - lag) <= NEAR, is_moved(belief)) for belief, lag in beliefs]
        return f"{sum(a for a, _ in near)} of {len(near)} | {sum(a and b for a, b in near)}"

    late = [clip for clip in clips if abs(clip.lag) >= LATE]
    alarms = [is_moved(method(clip)) for clip in clips if abs(clip.lag) <= IN_SYNC]
    moved = [clip.moved(late) for clip in clips for late in (MOVED, -MOVED)]
    return f"| {name} | {shares(late)} | {sum(alarms)} of {len(alarms)} | {shares(moved)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=Path(__file__).parents[2] / "shared" / "samples" / "clips")
    parser.add_argument("--cache", type=Path, required=True, help="folder for tracked curves, outside of the project")
    parser.add_argument("--expert", type=Path, help="another linear sync expert than that of the package")
    given = parser.parse_args()
    torch.set_num_threads(1)
    expert = LinearSync.load(given.expert or base_folder("sync_expert") / LINEAR_SYNC)
    readout = Audio2BSModel.load(base_folder("audio2bs"))
    clips = [heard_clip(given.clips, name, given.cache, readout, expert.feature) for name in LAGS]
    own = expert_method(expert)
    methods: dict[str, Method] = {
        "loudness and jaw": correlated("loudness", lambda clip: clip.level[:, None], 1),
        "readout's jaw and jaw": correlated("jaw", lambda clip: clip.readout[:, :1], 1),
        "readout's mouth and mouth": correlated("readout", lambda clip: clip.readout, len(MOUTH_STEMS)),
        "**the expert of the package**": own,
    }
    head = "| method | late, found | moved back | in sync, moved | +-10, found | moved back |"
    print(f"{len(clips)} clips, threshold {expert.threshold}\n\n{head}\n|{'---|' * 6}")
    for name, method in methods.items():
        print(row(name, method, clips, expert.threshold), flush=True)
    strangers = [clip.with_voice_of(other) for clip, other in zip(clips, clips[1:] + clips[:1], strict=True)]
    print(row("chance: the expert, another voice", own, strangers, expert.threshold))
    for clip in clips:
        for late in (MOVED, -MOVED):
            found, true = own(clip.moved(late)), clip.lag + late
            if abs(found.offset - true) > NEAR:
                print(f"not found: {clip.name} at {true}: {found.offset} ({found.confidence:.2f})")
    print(f"\n| clip | offset | {' | '.join(methods)} |\n|{'---|' * (2 + len(methods))}")
    for clip in clips:
        beliefs = [method(clip) for method in methods.values()]
        cells = [f"{belief.offset} ({belief.confidence:.2f})" for belief in beliefs]
        print(f"| {clip.name} | {clip.lag} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
