"""Is the motion that a model makes for a voice believable? Blinks, head, joints, beginning, silence, beside people's.

    python benchmarks/motion_quality.py --home HOME [--model FOLDER ...] [--preset NAME ...] [--real CACHE]

Voices: the held-out clips of the sample corpus in HOME and, with `--real`, the 14 clips and 12 voices of
../shared/samples (real people: their tracked motion lies in the folder CACHE, outside of the project). Every model
makes each of them in the style `neutral`, as its own `sampling.json` says and, with `--preset`, as that preset asks.

blinks: per minute. again: correlation of one step of the head's turns with the next. fast: share of the energy of the
head's turns at 4 Hz and above; fast steps: of their steps. std: standard deviation of the turns, degrees; tilt: mean
absolute turn of a whole clip. joints, head joints: step where windows meet over the usual one, of the coefficients and
of the turns. first: largest of the first three steps over the usual largest of three. pauses, silence: mean jawOpen
from 0.3 s after speech on, in the pauses of all voices and in 6 s of silence (largest in brackets). noise: energy of
the head's steps with noise 10 dB below the voice, over that without. Of values that are one clip's, the median.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from real_clips import LAGS

from magictalk_core.evaluation.generate import test_clips, to_motion
from magictalk_core.faces.extract import observe_video
from magictalk_core.faces.tracker import open_tracker
from magictalk_core.media.decode import read_audio
from magictalk_core.metrics.blinks import find_blinks
from magictalk_core.metrics.head import FAST_HZ, head_statistics
from magictalk_core.metrics.mouth_rest import mouth_rest
from magictalk_core.metrics.seams import first_step_ratio, pooled_seam_ratio
from magictalk_core.models.emodiff.model import EmoDiffModel, MotionRequest
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.presets.preset import load_preset
from magictalk_core.speech.activity import voice_activity
from magictalk_core.speech.features import speech_features
from magictalk_core.speech.loudness import frame_loudness
from magictalk_core.training.run import current_model
from magictalk_core.vocabulary.arkit import MOTION_NAMES, POSE_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE
from magictalk_core.workspace import Workspace

Motion = NDArray[Any]
Samples = NDArray[np.float32]
SHARED = Path(__file__).parents[2] / "shared" / "samples"
NOISE_DB, SPEAKS_DB, SILENCE_S = 10.0, -30.0, 6
TURNS = POSE_NAMES[:3]
COLUMNS = tuple(
    "clips,s,blinks,again,fast,fast steps,std,tilt,joints,head joints,first,pauses,silence,noise".split(",")
)


@dataclass(frozen=True, eq=False)
class Voice:
    """16 kHz mono samples, and the tracked motion (n, 58) of who speaks, None where there is no picture."""

    name: str
    samples: Samples
    tracked: Motion | None

    @property
    def frames(self) -> int:
        return max(1, round(len(self.samples) / SAMPLE_RATE * FRAME_RATE))

    def speaks(self) -> NDArray[np.bool_]:
        return frame_loudness(self.samples, self.frames) > SPEAKS_DB


def held_out(home: Path) -> Iterator[Voice]:
    workspace = Workspace(home)
    reader = CorpusReader(workspace, "sample")
    for _, clip in test_clips(workspace, ["sample"]):
        sound = reader.media(clip)[1]
        if sound is not None:
            yield Voice(clip, read_audio(sound), reader.motion(clip)[0])


def real(cache: Path) -> Iterator[Voice]:
    cache.mkdir(parents=True, exist_ok=True)
    for name in LAGS:
        kept = cache / f"{name}.motion.npy"
        if not kept.is_file():
            seen = observe_video(SHARED / "clips" / name, open_tracker("mediapipe"))
            np.save(kept, np.stack([np.concatenate([one.coefficients, one.pose]) for one in seen]).astype(np.float32))
        yield Voice(name, read_audio(SHARED / "clips" / name, SAMPLE_RATE), np.load(kept))
    for path in sorted((SHARED / "audio").iterdir()):
        yield Voice(path.name, read_audio(path, SAMPLE_RATE)[: 20 * SAMPLE_RATE], None)


def noisy(samples: Samples, seed: int) -> Samples:
    """With white noise `NOISE_DB` below the voice."""
    noise = np.random.default_rng(seed).normal(size=len(samples))
    level = np.sqrt(np.square(samples, dtype=np.float64).mean())
    return np.asarray(np.clip(samples + noise * level * 10 ** (-NOISE_DB / 20), -1, 1), np.float32)


@dataclass(frozen=True, eq=False)
class Asked:
    """A model with its style; makes the motion (n, 58) of samples, several voices side by side."""

    name: str
    model: EmoDiffModel
    style: Motion

    def __call__(self, sounds: Sequence[Samples]) -> list[Motion]:
        requests = []
        for number, samples in enumerate(sounds):
            frames = max(1, round(len(samples) / SAMPLE_RATE * FRAME_RATE))
            speech = speech_features(samples, frames, self.model.feature_id)
            requests.append(MotionRequest(speech, self.style, None, number, voice_activity(samples, frames)))
        return [to_motion(made, self.model.channels) for made in self.model.generate_many(requests)]


def methods(home: Path, folders: Sequence[Path], presets: Sequence[str]) -> Iterator[Asked]:
    for folder in folders or [current_model(Workspace(home).models("emodiff"))]:
        style = StyleBank.load(folder).frames("neutral")
        name = folder.parent.name[:8] if folder.name == "model" else folder.name
        yield Asked(f"{name} as trained", EmoDiffModel.load(folder), style)
        for preset in presets:
            sampling = load_preset(preset).emodiff.sampling
            yield Asked(f"{name} asked as {preset}", EmoDiffModel.load(folder, sampling=sampling), style)


def median(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else float("nan")


def energy(motion: Motion) -> float:
    """Mean square of the head's steps."""
    return float(np.nanmean(np.square(np.diff(turns_of(motion), axis=0))))


def fast_steps(motion: Motion) -> float:
    """Share of the energy of the head's steps at `FAST_HZ` and above."""
    steps = np.diff(turns_of(motion), axis=0)
    steps = steps[np.isfinite(steps).all(axis=1)]
    power = np.abs(np.fft.rfft((steps - steps.mean(axis=0)) * np.hanning(len(steps))[:, None], axis=0)) ** 2
    return float(power[np.fft.rfftfreq(len(steps), 1 / FRAME_RATE) >= FAST_HZ].sum() / max(power.sum(), 1e-30))


def turns_of(motion: Motion) -> Motion:
    return motion[:, [MOTION_NAMES.index(name) for name in TURNS]]


def row(name: str, motions: Sequence[Motion], speaks: Sequence[NDArray[np.bool_]], window: int) -> dict[str, str]:
    heads = [head_statistics(motion) for motion in motions]
    blinks = [find_blinks(motion) for motion in motions]
    measured = sum(one.measured_frames for one in blinks)
    rests = [mouth_rest(motion, spoken) for motion, spoken in zip(motions, speaks, strict=True)]
    rested = [(rest.mean, rest.frames) for rest in rests if rest is not None]
    tilts = [float(np.abs(np.nanmean(turns_of(motion), axis=0)).mean()) for motion in motions]
    pauses = sum(mean * n for mean, n in rested) / sum(n for _, n in rested) if rested else float("nan")
    values = {
        "s": sum(len(motion) for motion in motions) / FRAME_RATE,
        "blinks": 60 * FRAME_RATE * sum(len(one.peaks) for one in blinks) / max(measured, 1),
        "again": median([head["step_autocorrelation"] for head in heads]),
        "fast": median([head["fast_share"] for head in heads]),
        "fast steps": median([fast_steps(motion) for motion in motions]),
        "std": median([head["std_deg"] for head in heads]),
        "tilt": median(tilts),
        "joints": pooled_seam_ratio(motions, window) or float("nan"),
        "head joints": pooled_seam_ratio(motions, window, TURNS) or float("nan"),
        "first": first_step_ratio(motions) or float("nan"),
        "pauses": pauses,
    }
    return {"": name, "clips": str(len(motions))} | {k: f"{v:.{0 if k == 's' else 2}f}" for k, v in values.items()}


def made_row(asked: Asked, voices: Sequence[Voice]) -> dict[str, str]:
    """With what is asked of a model alone: six seconds of silence, and noise."""
    made = asked([voice.samples for voice in voices])
    shaken = asked([noisy(voice.samples, number) for number, voice in enumerate(voices)])
    (still,) = asked([np.zeros(SILENCE_S * SAMPLE_RATE, np.float32)])
    rest = mouth_rest(still, np.zeros(len(still), bool))
    found = row(asked.name, made, [voice.speaks()[: len(one)] for voice, one in zip(voices, made, strict=True)],
                asked.model.window)  # fmt: skip
    ratios = [energy(b) / max(energy(a), 1e-12) for a, b in zip(made, shaken, strict=True)]
    said = "nan" if rest is None else f"{rest.mean:.2f} ({rest.largest:.2f})"
    return found | {"silence": said, "noise": f"{np.median(ratios):.2f}"}


def table(title: str, voices: Sequence[Voice], asked: Callable[[], Iterator[Asked]]) -> None:
    print(f"\n{title}\n\n| | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    seen = [(voice.tracked, voice.speaks()) for voice in voices if voice.tracked is not None]
    pairs = [(motion[: len(spoken)], spoken[: len(motion)]) for motion, spoken in seen]
    rows = [lambda: row("tracked", [a for a, _ in pairs], [b for _, b in pairs], 32)]
    rows += [lambda one=one: made_row(one, voices) for one in asked()]  # type: ignore[misc]
    for make in rows:
        found = make()
        print(f"| {found['']} | " + " | ".join(found.get(column, "") for column in COLUMNS) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="workspace of the demo")
    parser.add_argument("--model", type=Path, action="append", default=[], help="model folder; else the workspace's")
    parser.add_argument("--preset", action="append", default=[], help="sampling of that preset, as a further row")
    parser.add_argument("--real", type=Path, help="folder for tracked curves of real people, outside of the project")
    given = parser.parse_args()
    torch.set_num_threads(1)
    table("Held-out clips of the sample corpus", list(held_out(given.home)),
          lambda: methods(given.home, given.model, given.preset))  # fmt: skip
    if given.real:
        table("Real voices", list(real(given.real)), lambda: methods(given.home, given.model, given.preset))


if __name__ == "__main__":
    main()
