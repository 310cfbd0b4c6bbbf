"""Speech and a style to motion: what a talking video and curves without a picture have in common."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.file_record import file_input
from magictalk_core.commands.opened_models import Performers, open_models
from magictalk_core.commands.untrusted import is_silent, sound_of
from magictalk_core.errors import UserError
from magictalk_core.models.methods import EMODIFF, MAGICTALK, to_motion
from magictalk_core.speech.activity import voice_activity
from magictalk_core.speech.features import speech_features
from magictalk_core.speech.presence import has_speech
from magictalk_core.training.run import model_input
from magictalk_core.vocabulary.emotions import EMOTIONS
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE
from magictalk_core.work.provenance import Input
from magictalk_core.workspace import Workspace

__all__ = ["MAX_SEED", "Performance", "Wish", "must_be_seed", "perform", "perform_styles"]

MAX_SEED = 2**63 - 1
"""The largest that every random number generator takes."""

_logger = logging.getLogger("magictalk.animate")


@dataclass(frozen=True)
class Wish:
    """How something is to be said: a `style` and how much of it, whose `model` (`opened_models.open_models`), with or
    without refined lips, and the `seed` of the performance."""

    style: str
    model: Path | None = None
    seed: int = 0
    intensity: float = 1.0
    lips: bool = True


@dataclass(frozen=True, eq=False)
class Performance:
    """`motion` (n, 58) at 25 frames per second, columns `MOTION_NAMES`, NaN in channels that nobody made; `samples` of
    the speech, 16 kHz mono. `style` is the name that the wish meant; `inputs` is what it was made of."""

    motion: NDArray[np.float32]
    samples: NDArray[np.float32]
    style: str
    models: Performers
    inputs: tuple[Input, ...]
    warnings: tuple[str, ...]

    @property
    def method(self) -> str:
        """EmoDiff's alone, or the whole one."""
        return EMODIFF if self.models.refiner is None else MAGICTALK

    @property
    def maker(self) -> str:
        """Method and models, as what was made says it of itself."""
        return f"{self.method} ({self.models.stamp})"

    @property
    def seconds(self) -> float:
        return round(len(self.motion) / FRAME_RATE, 3)


def must_be_seed(seed: int) -> None:
    """Raise `UserError` for a number that no generator takes."""
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"--seed {seed}: expected a whole number from 0 to {MAX_SEED}")


def perform(workspace: Workspace, audio: Path, wish: Wish, told: Sequence[str] = ()) -> Performance:
    """The motion of a face that says `audio` as wished, as long as the audio within one frame.

    `told` is what the user should know besides; it is logged with what is found here. Raises `UserError` for a missing
    or unreadable file, an unknown style, and models that are not there.
    """
    return perform_styles(workspace, audio, wish, [wish.style], told)[0]


def perform_styles(
    workspace: Workspace, audio: Path, wish: Wish, styles: Sequence[str] | None, told: Sequence[str] = ()
) -> list[Performance]:
    """`perform` in each of `styles`, with one seed; None: in every emotion of the models' styles. What is heard and
    opened is heard and opened once."""
    sound = sound_of(audio, SAMPLE_RATE, own_clock=True)
    samples = sound.samples
    models = open_models(workspace, wish.model, wish.lips)
    if styles is None:
        styles = [name for name in EMOTIONS if name in models.styles.emotions] or sorted(models.styles.emotions)
    names = [models.styles.name_of(style) for style in styles]
    moods = [models.styles.at_intensity(name, wish.intensity) for name in names]
    warnings = [*told, *(f"{audio}: {remark}" for remark in sound.remarks), *models.remarks]
    if is_silent(samples):
        warnings.append(f"{audio}: nothing but silence: the mouth will hardly move")
    elif not has_speech(samples):
        warnings.append(f"{audio}: nobody seems to speak in it: music and noise move the mouth too, but say nothing")
    for warning in warnings:
        _logger.warning("%s", warning)
    frames = max(1, round(len(samples) / SAMPLE_RATE * FRAME_RATE))
    speech, voice = speech_features(samples, frames, models.emodiff.feature_id), voice_activity(samples, frames)
    inputs = [file_input("audio", audio), *(model_input(workspace, folder) for folder in models.folders)]
    made = []
    for name, mood in zip(names, moods, strict=True):
        motion = to_motion(models.perform(speech, voice, mood, wish.seed), models.emodiff.channels)
        made.append(Performance(motion, samples, name, models, tuple(inputs), tuple(warnings)))
    return made
