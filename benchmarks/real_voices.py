"""How well made mouths follow 14 real voices: the project's models, peers, loudness and chance, side by side.

    python benchmarks/real_voices.py --cache /tmp/real [--home HOME] [--readout FILE ...] [--audio2bs FOLDER ...]
        [--json FILE]

Clips and their lags: real_clips.py. r: correlation with the tracked `jawOpen`, at the clip's lag, which is the same
for every method, and at lag 0. `lips`: the opening between the lips, made (on the built-in rig) with tracked; `round`:
pucker plus funnel. `std`: standard deviation of the made jaw over the tracked. `closed`: a proxy, for want of
transcripts, of whether lips close: frames of speech whose tracked lips are nearly closed told from the other frames of
speech by the made opening (AUC). `bilabial`: frames of p, b and m told from other speech by the made opening (AUC), on
the GRID clips alone, whose sentences are known (grid_words.py). `rtf`: processor time over the length of the sound.
Means over clips; intervals are 95 % bootstraps over clips. Chance is the method named in its row, given the voice of
every other clip.

pocketsphinx (pip install pocketsphinx) is heard phone by phone without a text, and its phones move the mouth by the
rules of recipes/base_voice; without it its row is left out. Styles of a workspace: `neutral`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from grid_words import bilabials
from numpy.typing import NDArray
from real_clips import LAGS, RealClip, load_clip

from magictalk_core.commands.opened_models import Performers, open_models
from magictalk_core.errors import UserError
from magictalk_core.evaluation.generate import to_motion
from magictalk_core.metrics.closures import closures_at
from magictalk_core.metrics.intervals import mean_interval
from magictalk_core.models.audio2bs.model import Audio2BSModel
from magictalk_core.models.shipped.base import BASE, base_name
from magictalk_core.models.shipped.real_voices import RealVoices, VoiceRow, real_voices_file
from magictalk_core.recipes.base_voice.articulation import mouth_curves
from magictalk_core.recipes.base_voice.readout import read_mouth
from magictalk_core.recipes.base_voice.speaking import arpabet
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.speech.activity import voice_activity
from magictalk_core.speech.features import speech_features
from magictalk_core.vocabulary.arkit import ARKIT_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE
from magictalk_core.workspace import Workspace

Curve = NDArray[np.float64]
Motion = NDArray[np.floating]
Method = Callable[[RealClip, int], "Made"]

CLOSED_SHARE, SPOKEN_DB, LEAST_FRAMES = 0.15, 25.0, 3
RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Made:
    """What a method made of a voice, per frame; a method without lips gives its jaw for their opening."""

    jaw: Curve
    gap: Curve
    rounding: Curve | None


def _gap_weights() -> tuple[float, Curve]:
    """Opening between the inner lips of the built-in rig at rest, and what each coefficient adds (52,)."""
    rig = builtin_rig()
    upper, lower = 13, 14
    return float(rig.neutral[upper, 1] - rig.neutral[lower, 1]), rig.deltas[:, upper, 1] - rig.deltas[:, lower, 1]


REST, OPENING = _gap_weights()


def made_of(mouth: Motion) -> Made:
    """Of coefficients (n, 52)."""
    values = np.nan_to_num(np.asarray(mouth, np.float64))
    rounding = values[:, ARKIT_NAMES.index("mouthPucker")] + values[:, ARKIT_NAMES.index("mouthFunnel")]
    return Made(values[:, ARKIT_NAMES.index("jawOpen")], np.maximum(REST + values @ OPENING, 0.0), rounding)


def placed(names: tuple[str, ...], values: Motion) -> Motion:
    """(n, 52) of the named columns."""
    whole = np.zeros((len(values), len(ARKIT_NAMES)))
    whole[:, [ARKIT_NAMES.index(name) for name in names]] = values
    return whole


def decibels(samples: NDArray[np.float32], frames: int) -> Curve:
    """(frames,) level of the sound of each frame, dB."""
    padded = np.pad(samples.astype(np.float64), (0, max(0, frames * 640 - len(samples))))[: frames * 640]
    return np.asarray(10 * np.log10((padded.reshape(frames, 640) ** 2).mean(1) + 1e-7))


def loudness(clip: RealClip, frames: int) -> Made:
    level = decibels(clip.samples, frames)
    return Made(level, level, None)


def pocketsphinx_rules() -> Method:
    import pocketsphinx

    model = pocketsphinx.get_model_path("en-us/en-us-phone.lm.bin")
    decoder = pocketsphinx.Decoder(
        allphone=model, lm=None, dict=None, lw=2.0, beam=1e-20, pbeam=1e-20, loglevel="FATAL"
    )

    def made(clip: RealClip, frames: int) -> Made:
        decoder.start_utt()
        decoder.process_raw((np.clip(clip.samples, -1, 1) * 32767).astype(np.int16).tobytes(), full_utt=True)
        decoder.end_utt()
        spans = [
            span
            for piece in decoder.seg()
            if not piece.word.startswith("+") and piece.word != "SIL"
            for span in arpabet(piece.word.lower(), piece.start_frame / 100, (piece.end_frame + 1) / 100)
        ]
        return made_of(mouth_curves(spans, frames, ARKIT_NAMES, 1.0))

    return made


def readout(path: Path) -> Method:
    return lambda clip, frames: made_of(placed(*read_mouth(path, clip.samples, frames)))


def audio2bs(path: Path) -> Method:
    model = Audio2BSModel.load(path)

    def made(clip: RealClip, frames: int) -> Made:
        speech = speech_features(clip.samples, frames, str(model.folder.config["feature_id"]))
        neutral, _ = model.neutral(model.folder.normal_speech(torch.from_numpy(speech)))
        return made_of(placed(model.mouth, neutral[0].numpy()))

    return made


def performed(models: Performers) -> Method:
    """As `magictalk animate` performs in the style `neutral`."""
    style = models.styles.at_intensity(models.styles.name_of("neutral"), 1.0)

    def made(clip: RealClip, frames: int) -> Made:
        speech = speech_features(clip.samples, frames, models.emodiff.feature_id)
        state = models.perform(speech, voice_activity(clip.samples, frames), style, 0)
        return made_of(to_motion(state, models.emodiff.channels)[:, : len(ARKIT_NAMES)])

    return made


def of_models(workspace: Workspace, model: Path | None, name: str) -> Iterator[tuple[str, Method]]:
    """EmoDiff alone, and with the lips that `animate` gives it."""
    yield f"emodiff of {name}", performed(open_models(workspace, model, lips=False))
    try:
        models = open_models(workspace, model)
    except UserError as error:
        print(f"magictalk of {name}: left out: {error}")
        return
    for remark in models.remarks:
        print(f"magictalk of {name}: {remark}")
    yield f"magictalk of {name}", performed(models)


def shifted(made: Curve, tracked: Curve, lag: int) -> tuple[Curve, Curve]:
    """Both where they meet when made[t] belongs to tracked[t + lag]; frames without a face are left out."""
    length = min(len(made), len(tracked))
    made, tracked = made[:length], np.asarray(tracked[:length], np.float64)
    made, tracked = made[max(0, -lag) : length - max(0, lag)], tracked[max(0, lag) : length - max(0, -lag)]
    seen = np.isfinite(tracked)
    return made[seen], tracked[seen]


def correlation(made: Curve, tracked: Curve, lag: int) -> float:
    a, b = shifted(made, tracked, lag)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0


def closure(made: Made, clip: RealClip) -> float:
    """AUC of the made opening between nearly closed and other tracked lips while there is voice; NaN without any."""
    level = decibels(clip.samples, len(made.gap))
    spoken, gap = shifted(level, clip.gap, clip.lag)
    opening, _ = shifted(made.gap, clip.gap, clip.lag)
    is_speech = spoken > level.max() - SPOKEN_DB
    is_closed = gap < CLOSED_SHARE * np.quantile(gap, 0.9)
    closed, others = opening[is_speech & is_closed], opening[is_speech & ~is_closed]
    if min(len(closed), len(others)) < LEAST_FRAMES:
        return float("nan")
    return float((closed[:, None] < others).mean() + 0.5 * (closed[:, None] == others).mean())


def bilabial_auc(gap: Curve, clip: RealClip, late: int) -> float:
    """Of lips that are `late` frames behind the sound; NaN without a known p, b or m."""
    places = bilabials(clip)
    if places is None:
        return float("nan")
    auc = closures_at(np.roll(np.asarray(gap, np.float64), -late), places, None).auc
    return float("nan") if auc is None else auc


def scores(made: Made, clip: RealClip) -> dict[str, float]:
    jaw = clip.channel("jawOpen")
    a, b = shifted(made.jaw, jaw, clip.lag)
    rounding = float("nan")
    if made.rounding is not None:
        rounding = correlation(made.rounding, clip.channel("mouthPucker") + clip.channel("mouthFunnel"), clip.lag)
    return {
        "r": correlation(made.jaw, jaw, clip.lag),
        "r0": correlation(made.jaw, jaw, 0),
        "lips": correlation(made.gap, clip.gap, clip.lag),
        "round": rounding,
        "bilabial": bilabial_auc(made.gap, clip, 0),
        "std": float(a.std() / b.std()) if made.rounding is not None else float("nan"),
        "closed": closure(made, clip),
    }


def by_chance(made: list[Made], clips: list[RealClip]) -> list[dict[str, float]]:
    """Every clip's mean scores with the voices of the others."""
    found = []
    for index, clip in enumerate(clips):
        others = [scores(one, clip) for number, one in enumerate(made) if number != index]
        columns = {name: np.array([row[name] for row in others]) for name in others[0]}
        known = {name: values[np.isfinite(values)] for name, values in columns.items()}
        found.append({name: float(values.mean()) if len(values) else float("nan") for name, values in known.items()})
    return found


def _interval(values: list[float], name: str) -> str:
    known = np.array(values)[np.isfinite(values)]
    if not len(known):
        return "-"
    between = mean_interval(known, name, RESAMPLES)
    return f"{known.mean():.2f}" + ("" if between is None else f" [{between[0]:.2f}, {between[1]:.2f}]")


def voice_row(method: str, scored: list[dict[str, float]]) -> VoiceRow:
    """Rounded: more digits say nothing on so few clips."""
    mean = {name: round(float(np.nanmean([row[name] for row in scored])), 3) for name in ("r", "r0", "lips")}
    std = float(np.mean([row["std"] for row in scored]))
    between = mean_interval(np.array([row["r"] for row in scored]), f"{method}/r", RESAMPLES)
    assert between is not None
    return VoiceRow(
        method=method,
        r=mean["r"],
        low=round(between[0], 3),
        high=round(between[1], 3),
        r_at_0=mean["r0"],
        lips=mean["lips"],
        std=round(std, 3) if np.isfinite(std) else None,
    )


def _methods(given: argparse.Namespace) -> Iterator[tuple[str, Method]]:
    yield "log loudness", loudness
    try:
        yield "pocketsphinx + rules", pocketsphinx_rules()
    except ImportError:
        print("pocketsphinx + rules: left out: pip install pocketsphinx")
    for path in given.readout:
        yield f"readout {path.stem}", readout(path)
    for path in given.audio2bs:
        yield f"audio2bs {path.name}", audio2bs(path)
    if given.home:
        yield from of_models(Workspace(given.home), None, f"models of {given.home.name}")
    yield from of_models(Workspace(given.cache), Path(BASE), BASE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=Path(__file__).parents[2] / "shared" / "samples" / "clips")
    parser.add_argument("--cache", type=Path, required=True, help="folder for tracked curves, outside of the project")
    parser.add_argument("--home", type=Path, help="workspace whose models are used")
    parser.add_argument("--readout", type=Path, action="append", default=[], help="file of recipes/base_voice")
    parser.add_argument("--audio2bs", type=Path, action="append", default=[], help="model folder")
    parser.add_argument(
        "--json", type=Path, help=f"write the figures there; those of the package: {real_voices_file()}"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    clips = [load_clip(given.clips, name, given.cache) for name in LAGS]
    seconds = sum(len(clip.samples) for clip in clips) / SAMPLE_RATE
    columns = ("r", "r0", "lips", "round", "std", "closed", "bilabial")
    print(f"{len(clips)} clips, {seconds:.0f} s\n\n| method | {' | '.join(columns)} | rtf |\n|{'---|' * 9}")
    found: dict[str, list[dict[str, float]]] = {}
    for name, method in _methods(given):
        began = time.process_time()
        made = [method(clip, round(len(clip.samples) / SAMPLE_RATE * FRAME_RATE)) for clip in clips]
        spent = (time.process_time() - began) / seconds
        found[name] = [scores(one, clip) for one, clip in zip(made, clips, strict=True)]
        cells = [_interval([row[column] for row in found[name]], f"{name}/{column}") for column in columns]
        print(f"| {name} | {' | '.join(cells)} | {spent:.3f} |", flush=True)
        if name.startswith("readout"):
            chance = by_chance(made, clips)
            cells = [_interval([row[column] for row in chance], f"chance/{column}") for column in columns]
            print(f"| chance: {name}, another voice | {' | '.join(cells)} | |", flush=True)
    tracked = [bilabial_auc(clip.gap, clip, clip.lag) for clip in clips]
    print(f"\ntracked lips at p, b, m: {_interval(tracked, 'tracked')} in {np.isfinite(tracked).sum()} clips")
    if given.json:
        rows = tuple(voice_row(name, scored) for name, scored in found.items())
        figures = RealVoices(models=base_name(), day=f"{date.today()}", clips=len(clips), seconds=seconds, rows=rows)
        given.json.write_text(figures.model_dump_json(indent=1) + "\n", encoding="utf-8")
    print("\nr at the clip's lag, differences clip by clip:")
    for rival in ("log loudness", "pocketsphinx + rules"):
        for name in found:
            if rival in found and name not in ("log loudness", rival):
                differences = [a["r"] - b["r"] for a, b in zip(found[name], found[rival], strict=True)]
                print(f"  {name} - {rival}: {_interval(differences, name + rival)}")
    print("\n| clip | lag | " + " | ".join(found) + " |\n|" + "---|" * (2 + len(found)))
    for index, clip in enumerate(clips):
        print(
            f"| {clip.name} | {clip.lag} | " + " | ".join(f"{rows[index]['r']:.2f}" for rows in found.values()) + " |"
        )


if __name__ == "__main__":
    main()
