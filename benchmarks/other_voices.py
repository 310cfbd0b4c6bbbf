"""Voices without a picture: other languages, noise, acted emotion. How far does the made mouth follow them?

    python benchmarks/other_voices.py [--audio ../shared/samples/audio] [--plot curves.png]

Nobody filmed these speakers, so there is nothing to compare with but the sound: `r` is the correlation of the opening
between the lips (built-in rig) with the loudness of the voice at the best of lags 0 to 4 frames, which a mouth that
follows the speech has in any language; `jaw`: standard deviation of jawOpen; `rest`: mean jawOpen while nobody speaks,
where there is half a second of it. The models are those of the package, in the style neutral, as `animate` uses them.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from real_voices import decibels, made_of

from magictalk_core.commands.opened_models import open_models
from magictalk_core.evaluation.generate import to_motion
from magictalk_core.media.decode import read_audio
from magictalk_core.models.shipped.base import BASE
from magictalk_core.speech.activity import voice_activity
from magictalk_core.speech.features import speech_features
from magictalk_core.vocabulary.arkit import ARKIT_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE
from magictalk_core.workspace import Workspace

_LAGS = range(5)
_QUIET_S = 0.5
Curve = NDArray[np.float64]


def _language(name: str) -> str:
    found = re.search("german|french|mandarin|chinese", name, re.IGNORECASE)
    return found.group().lower() if found else "english, noise at 10 dB" if "noisy" in name else "english"


def _follows(opening: Curve, level: Curve) -> float:
    floor = level.max() - 40
    loud = np.maximum(level, floor)
    ends = [(opening[lag:], loud[: len(loud) - lag]) for lag in _LAGS]
    return max(float(np.corrcoef(a, b)[0, 1]) for a, b in ends)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, default=Path(__file__).parents[2] / "shared" / "samples" / "audio")
    parser.add_argument("--plot", type=Path, help="curves of every voice, to be looked at")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:
        models = open_models(Workspace(Path(empty)), Path(BASE))
    style = models.styles.at_intensity(models.styles.name_of("neutral"), 1.0)
    drawn = []
    print("| voice | language | s | r | jaw | rest |\n|---|---|---|---|---|---|")
    for path in sorted(p for p in given.audio.iterdir() if p.suffix in (".wav", ".m4a")):
        samples = read_audio(path, SAMPLE_RATE)
        frames = round(len(samples) / SAMPLE_RATE * FRAME_RATE)
        speech, voice = speech_features(samples, frames, models.emodiff.feature_id), voice_activity(samples, frames)
        state = models.perform(speech, voice, style, 0)
        made = made_of(to_motion(state, models.emodiff.channels)[:, : len(ARKIT_NAMES)])
        level, quiet = decibels(samples, frames), voice == 0
        rest = f"{made.jaw[quiet].mean():.3f}" if quiet.sum() > _QUIET_S * FRAME_RATE else "-"
        follows = _follows(made.gap, level)
        print(
            f"| {path.stem} | {_language(path.stem)} | {len(samples) / SAMPLE_RATE:.1f} | {follows:.2f} | "
            f"{made.jaw.std():.3f} | {rest} |"
        )
        drawn.append((path.stem, made, level))
    if given.plot:
        from matplotlib.figure import Figure

        figure = Figure((12, 2 * len(drawn)))
        for number, (name, made, level) in enumerate(drawn, 1):
            axes = figure.add_subplot(len(drawn), 1, number)
            seconds = np.arange(len(level)) / FRAME_RATE
            axes.plot(seconds, made.jaw, label="jawOpen")
            axes.plot(seconds, (level - level.max() + 40).clip(0) / 80, alpha=0.5, label="loudness")
            axes.set_title(name, fontsize=8)
        figure.tight_layout()
        figure.savefig(given.plot)


if __name__ == "__main__":
    main()
