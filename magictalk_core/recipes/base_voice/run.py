"""The recipe in one call: speak, choose the penalty on engines that were left out, fit on all of them, write the
file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.models.audio2bs.linear import Moments, Stretch
from magictalk_core.recipes.base_voice.readout import VoiceReadout
from magictalk_core.recipes.base_voice.recordings import SPEAKERS, Recording, RecordingSettings, record
from magictalk_core.recipes.base_voice.speaking import Speaker
from magictalk_core.speech.features import WHISPER
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import digest_of
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["READOUT_NAME", "Choice", "VoiceSettings", "chosen", "run_recipe"]

READOUT_NAME = "base_voice.safetensors"

Values = NDArray[np.float64]

_CLOSE_TO_BEST = 0.005
"""Loss in r for which a stronger penalty is taken: people differ more from synthesizers than those from each other."""


@dataclass(frozen=True)
class VoiceSettings:
    """Everything that decides the file."""

    recordings: RecordingSettings = field(default_factory=RecordingSettings)
    feature: str = WHISPER
    width: int = 5
    components: tuple[int, ...] = (48, 96, 192)
    ridges: tuple[float, ...] = (0.01, 0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True)
class Choice:
    """Components and penalty, and the mean correlation of the jaw on the engines that were left out."""

    components: int
    ridge: float
    r: float


def chosen(tried: Sequence[Choice]) -> Choice:
    """The strongest penalty, then the fewest components, of those close to the best."""
    best = max(choice.r for choice in tried)
    close = [choice for choice in tried if choice.r >= best - _CLOSE_TO_BEST]
    return max(close, key=lambda choice: (choice.ridge, -choice.components))


def _normalised(recordings: Sequence[Recording]) -> tuple[Values, Values]:
    frames = np.concatenate([recording.features for recording in recordings]).astype(np.float64)
    return frames.mean(0), frames.std(0) + 1e-6


def _fits(
    recordings: Sequence[Recording], settings: VoiceSettings, components: int, ridges: Sequence[float]
) -> Iterator[VoiceReadout]:
    """One readout per penalty."""
    mean, std = _normalised(recordings)
    stretches = [Stretch((recording.features - mean) / std, recording.mouth) for recording in recordings]
    moments = Moments.of(stretches, settings.width, components)
    for ridge in ridges:
        found = moments.readout(ridge)
        yield VoiceReadout(settings.feature, JAW_MOUTH_NAMES, mean.astype(np.float32), std.astype(np.float32), found)


def _jaw_correlation(readout: VoiceReadout, recordings: Sequence[Recording]) -> float:
    jaw = JAW_MOUTH_NAMES.index("jawOpen")
    spoken = [recording for recording in recordings if recording.text]
    pairs = ((readout.mouth(recording.features)[:, jaw], recording.mouth[:, jaw]) for recording in spoken)
    return float(np.mean([np.corrcoef(made, true)[0, 1] for made, true in pairs]))


def _tried(recordings: Sequence[Recording], settings: VoiceSettings) -> list[Choice]:
    """How every choice does on the recordings of an engine that it did not hear, in the mean over the engines."""
    tried = []
    for components in settings.components:
        found = []
        for engine in sorted({recording.speaker.engine for recording in recordings}):
            heard = [recording for recording in recordings if recording.speaker.engine != engine]
            others = [recording for recording in recordings if recording.speaker.engine == engine]
            fits = _fits(heard, settings, components, settings.ridges)
            found.append([_jaw_correlation(readout, others) for readout in fits])
        means = np.mean(found, axis=0)
        tried += [Choice(components, ridge, float(r)) for ridge, r in zip(settings.ridges, means, strict=True)]
    return tried


def run_recipe(out: Path, settings: VoiceSettings, speakers: Sequence[Speaker] = SPEAKERS) -> Choice:
    """Write `base_voice.safetensors` and `figures.json`, what was tried and how it did, into `out`.

    Needs espeak-ng, flite and festival: raises `UserError` that names what to install.
    """
    recordings = list(record(settings.recordings, settings.feature, JAW_MOUTH_NAMES, speakers))
    tried = _tried(recordings, settings)
    choice = chosen(tried)
    about = {
        "recipe": f"{__package__} 1",
        "license": "Apache-2.0",
        "settings": digest_of(asdict(settings)),
        "choice": json.dumps(asdict(choice)),
    }
    out.mkdir(parents=True, exist_ok=True)
    (readout,) = _fits(recordings, settings, choice.components, [choice.ridge])
    readout.save(out / READOUT_NAME, about)
    minutes = sum(len(recording.mouth) for recording in recordings) / FRAME_RATE / 60
    figures = {"minutes": minutes, "chosen": asdict(choice), "tried": [asdict(one) for one in tried]}
    write_text(out / "figures.json", json.dumps(figures, indent=1))
    return choice
