"""Requests that show what a model can do beyond the test clips: other styles, seeds, intensities, a minute.

Every trial of a style begins at the same neutral face of the speaker, so that an emotion can come from the style
frames alone: the initial state of Algorithm 1 would else tell it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.preparation.reader import ClipData, CorpusReader, pick_style_clip, usable_clips
from magictalk_core.vocabulary.arkit import MOTION_NAMES, POSE_NAMES
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import NEUTRAL
from magictalk_core.workspace import Workspace

__all__ = ["StyledSpeech", "Trials", "collect_trials"]

INTENSITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
SEEDS = 4
LONG_FRAMES = 1500

Motion = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class StyledSpeech:
    """Speech of a clip, when it is heard, and a style by the same speaker: whose emotion the motion should show."""

    clip: ClipData
    voice: Motion | None
    emotion: str
    style: Motion
    neutral: Motion
    face: Motion
    """(C,) mean coefficients of the speaker's real clips."""


@dataclass(frozen=True, eq=False)
class Trials:
    """What is asked of a model: `channels` are the model's, `coefficients` the columns of them that are no head pose.

    `real` are the tracked motions (n, D) of the test clips, `own` the requests for just these clips in their own style,
    `clip_ids` which clips they are.
    """

    channels: tuple[str, ...]
    coefficients: tuple[int, ...]
    styled: tuple[StyledSpeech, ...]
    own: tuple[MotionRequest, ...]
    real: tuple[Motion, ...]
    clip_ids: tuple[str, ...]

    def style_requests(self) -> list[MotionRequest]:
        return [MotionRequest(s.clip.speech, s.style, s.neutral[0], 0, s.voice) for s in self.styled]

    def seed_requests(self) -> list[list[MotionRequest]]:
        """For every test clip the same request with several seeds."""
        return [[replace(request, seed=seed) for seed in range(SEEDS)] for request in self.own]

    def intensity_requests(self) -> list[tuple[StyledSpeech, list[MotionRequest]]]:
        """For every emotional style its mixtures with the speaker's neutral frames; the same seed for all."""
        return [
            (s, [MotionRequest(s.clip.speech, _mixed(s, i), s.neutral[0], 0, s.voice) for i in INTENSITIES])
            for s in self.styled
            if s.emotion != NEUTRAL
        ]

    def long_request(self) -> MotionRequest | None:
        """A minute of speech: the test clips one after the other, again and again; None without a test clip."""
        if not self.own:
            return None
        speech = np.concatenate([request.speech for request in self.own])
        minute = np.arange(LONG_FRAMES) % len(speech)
        voices = [request.voice for request in self.own if request.voice is not None]
        voice = np.concatenate(voices)[minute] if voices else None
        return MotionRequest(speech[minute], self.own[0].style, None, 0, voice)


def _mixed(styled: StyledSpeech, intensity: float) -> Motion:
    """As `StyleBank.at_intensity`, with the neutral frames of the same speaker."""
    partner = styled.neutral[np.arange(len(styled.style)) % len(styled.neutral)]
    return np.asarray(intensity * styled.style + (1 - intensity) * partner, np.float32)


def collect_trials(workspace: Workspace, clips: Sequence[tuple[str, str]], model: EmoDiffModel) -> Trials:
    """The trials over the test clips (corpus, clip id), in the channels of `model`.

    A speaker takes part in the style trials with every emotion of their own clips, when some are neutral.
    """
    places = [MOTION_NAMES.index(name) for name in model.channels]
    coefficients = tuple(i for i, name in enumerate(model.channels) if name not in POSE_NAMES)
    readers = {corpus: CorpusReader(workspace, corpus) for corpus, _ in clips}
    styled: list[StyledSpeech] = []
    own, real = [], []
    faces: dict[tuple[str, str], dict[str, Motion]] = {}
    for corpus, clip_id in clips:
        reader = readers[corpus]
        clip = reader.clip(clip_id)
        speaker = str(reader.row(clip_id)["speaker"])
        real.append(_measured(clip.motion, places))
        style = reader.motion(pick_style_clip(reader, clip_id))[0]
        voice = reader.voice(clip_id, len(clip.speech)) if model.rests else None
        own.append(MotionRequest(clip.speech, _measured(style, places), None, 0, voice))
        if (corpus, speaker) not in faces:
            faces[corpus, speaker] = _by_emotion(reader, speaker, places)
        emotions = faces[corpus, speaker]
        if NEUTRAL in emotions:
            face = np.concatenate(list(emotions.values())).mean(axis=0)[list(coefficients)]
            styled += [StyledSpeech(clip, voice, e, frames, emotions[NEUTRAL], face) for e, frames in emotions.items()]
    return Trials(
        model.channels, coefficients, tuple(styled), tuple(own), tuple(real), tuple(clip for _, clip in clips)
    )


def _measured(motion: Motion, places: Sequence[int]) -> Motion:
    """The model's channels of the frames in which all of them were measured."""
    values = motion[:, list(places)]
    return np.asarray(values[np.isfinite(values).all(axis=1)], np.float32)


def _by_emotion(reader: CorpusReader, speaker: str, places: Sequence[int]) -> dict[str, Motion]:
    """Emotion -> all measured frames (n, D) of the speaker's clips in the test split."""
    clips: pd.DataFrame = usable_clips(reader, Split.TEST)
    rows = clips[(clips["speaker"] == speaker) & clips["emotion"].notna()]
    found: dict[str, Motion] = {}
    for emotion, own in rows.groupby("emotion", observed=True, sort=True):
        frames = [_measured(reader.motion(str(clip))[0], places) for clip in own["clip_id"]]
        found[str(emotion)] = np.concatenate(frames)
    return found
