"""What a few minutes of people's video give the shipped models, tested on others: leave two out, 7 folds of the 14 real
clips.

    python benchmarks/own_face.py --cache /tmp/real [--set audio2bs.training.epochs=0 ...]

Each fold trains as `magictalk run --init base` does, with the preset `own_face`, on 12 clips packed as the corpus step
packs them, and is asked for the other two, whose people it never saw (the two clips of one man are one fold). Penalties
are chosen and trainings stopped inside of the 12: two of them are its validation split, by the rule of all corpora.
The speech of the 12 is moved by their lags (real_clips.py) before training, as a sync gate that corrects does; the two
are read at their own. Everybody performs in the style `neutral`; `r` as in real_voices.py.

Rows: the shipped models; EmoDiff and the whole method after fine-tuning, lips refined throughout; what `animate` uses,
which is refined lips where they gained on the validation clips; the readout alone. Real people: nothing is copied here.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
import yaml
from numpy.typing import NDArray
from real_clips import LAGS, RealClip, load_clip
from real_voices import Made, _interval, made_of, placed, scores

from magictalk_core.commands.opened_models import Performers, open_models
from magictalk_core.corpora.splits import rank_splits
from magictalk_core.faces.extract import frames_table, observe_video
from magictalk_core.faces.tracker import open_tracker
from magictalk_core.models.emodiff.model import EmoDiffModel
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.families import FAMILIES
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.models.lip_residue.worth import measure_lips
from magictalk_core.models.methods import to_motion
from magictalk_core.models.shipped.base import BASE
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.speech.activity import voice_activity
from magictalk_core.speech.features import speech_features
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, SPEECH
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.build import build_training_set
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.shard_clips import CorpusTables
from magictalk_core.vocabulary.arkit import ARKIT_NAMES
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE
from magictalk_core.workspace import Workspace

ONE_MAN = ("grid_pwij3p.mpg", "grid_id2_swwp2s.mpg")
TRAINED = ("emodiff", "audio2bs", "lip_residue")
METHODS = (
    "emodiff, shipped", "animate, shipped", "emodiff, fine-tuned", "refined, fine-tuned", "animate, fine-tuned",
    "readout, shipped", "readout, fine-tuned",
)  # fmt: skip
PAIRS = (
    ("animate, fine-tuned", "animate, shipped"),
    ("emodiff, fine-tuned", "emodiff, shipped"),
    ("refined, fine-tuned", "emodiff, fine-tuned"),
    ("readout, fine-tuned", "readout, shipped"),
)


def folds() -> list[tuple[str, str]]:
    rest = sorted(name for name in LAGS if name not in ONE_MAN)
    return [ONE_MAN, *zip(rest[::2], rest[1::2], strict=True)]


def speaker_of(name: str) -> str:
    return "grid_one_man" if name in ONE_MAN else Path(name).stem


def clip_id(name: str) -> str:
    return f"real/{speaker_of(name)}/{Path(name).stem}"


def frames_of(clips: Path, name: str, cache: Path) -> pd.DataFrame:
    """FRAMES rows of a clip, tracked at the first call."""
    kept = cache / "frames" / f"{name}.parquet"
    if not kept.is_file():
        tracker = open_tracker("mediapipe")
        table = frames_table(clip_id(name), observe_video(clips / name, tracker), tracker.id)
        write_table(FRAMES, table, kept)
    return read_frame(FRAMES, kept)


def heard(clip: RealClip, feature: str, cache: Path) -> NDArray[np.float32]:
    kept = cache / feature / f"{clip.name}.npy"
    if not kept.is_file():
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, speech_features(clip.samples, round(len(clip.samples) / SAMPLE_RATE * FRAME_RATE), feature))
    return np.load(kept)


def tables(clips: Sequence[RealClip], given: argparse.Namespace, feature: str, out: Path) -> CorpusTables:
    """The clips as a corpus, the speech of each moved by its lag; where there is none the frames are left out."""
    frames, speech, rows = [], [], []
    splits = _splits([speaker_of(clip.name) for clip in clips])
    for clip in clips:
        motion, features = frames_of(given.clips, clip.name, given.cache), heard(clip, feature, given.cache)
        places = np.arange(len(motion)) - clip.lag
        there = (places >= 0) & (places < len(features))
        motion = motion[there].assign(frame_index=np.arange(there.sum(), dtype=np.int32))
        frames.append(motion)
        known = {"clip_id": clip_id(clip.name), "corpus": "real", "shard": "all", "speaker": speaker_of(clip.name)}
        known |= {"source": Path(clip.name).stem, "licence": "test", "split": splits[speaker_of(clip.name)]}
        rows.append(dict.fromkeys(CLIPS.names) | known | {"status": "ok"})
        columns = {"clip_id": [known["clip_id"]] * len(motion), "frame_index": motion["frame_index"].to_numpy()}
        columns |= {"features": pa.array(list(features[places[there]]), type=pa.list_(pa.float32()))}
        speech.append(pa.table(columns | {"feature_id": [feature] * len(motion)}, schema=SPEECH.schema()))
    write_table(CLIPS, rows, out / "clips.parquet")
    motions, voices = (out / name / "all.parquet" for name in ("frames", "speech"))
    write_table(FRAMES, pd.concat(frames, ignore_index=True), motions)
    write_table(SPEECH, pa.concat_tables(speech), voices)
    return CorpusTables(out / "clips.parquet", [motions], [voices], "d" * 32 + ".dir")


def _splits(speakers: Sequence[str]) -> dict[str, Split]:
    """By rank, but that nobody is kept for a test: the two that were left out are."""
    return {who: Split.VAL if split == Split.VAL else Split.TRAIN for who, split in rank_splits(speakers).items()}


@dataclass(frozen=True, eq=False)
class Trained:
    emodiff: Path
    audio2bs: Path
    lip_residue: Path
    is_refined: bool

    def performers(self) -> Performers:
        refiner = LipRefiner.load(self.audio2bs, self.lip_residue)
        emodiff, styles = EmoDiffModel.load(self.emodiff), StyleBank.load(self.emodiff)
        return Performers("own", "own", self.emodiff, emodiff, styles, refiner)


def trained(clips: Sequence[RealClip], preset: Preset, given: argparse.Namespace, out: Path) -> Trained:
    """The models of a fold, as a run makes them; made anew each time."""
    shutil.rmtree(out, ignore_errors=True)
    made = tables(clips, given, preset.speech.feature, out / "tables")
    build_training_set({"real": made}, preset.training_set, preset.speech.feature, out / "training_set")
    data = out / "training_set"
    order = ("audio2bs", "emodiff", "lip_residue")
    paths = {n: train(FAMILIES[n], preset, data, out / "models" / n, MemoryTracker()).path for n in order}
    refiner = LipRefiner.load(paths["audio2bs"], paths["lip_residue"])
    calm = StyleBank.load(paths["emodiff"]).frames("neutral")
    worth = measure_lips(EmoDiffModel.load(paths["emodiff"]), refiner, TrainingSet.open(data), calm)
    for name in order:
        result = (paths[name].parent / "result.json").read_text(encoding="utf-8")
        print(f"  {name}: {yaml.safe_load(result)['metrics']}", flush=True)
    readout = yaml.safe_load((paths["audio2bs"] / "config.json").read_text(encoding="utf-8")).get("readout")
    print(f"  readout: {readout}; lips on validation: {worth}", flush=True)
    return Trained(**paths, is_refined=worth is None or worth.is_worth)


def performed(models: Performers, clip: RealClip, feature: NDArray[np.float32]) -> list[Made]:
    """As `magictalk animate` performs in the style `neutral`, without refined lips and with them; and the readout."""
    assert models.refiner is not None
    voice, names = voice_activity(clip.samples, len(feature)), models.emodiff.channels
    style = models.styles.at_intensity(models.styles.name_of("neutral"), 1.0)
    alone = replace(models, refiner=None).perform(feature, voice, style, 0)
    rests = models.emodiff.voice_of(voice)
    lips = models.refiner.refine(alone, names, feature, models.emodiff.feature_id, style, rests)
    neutral, _ = models.refiner.audio2bs.neutral(models.refiner.folder.normal_speech(feature))
    made = [made_of(to_motion(motion, names)[:, : len(ARKIT_NAMES)]) for motion in (alone, lips)]
    return [*made, made_of(placed(models.refiner.audio2bs.mouth, neutral[0].numpy()))]


def methods(fold: Trained, shipped: list[Made], clip: RealClip, feature: Any) -> Iterator[tuple[str, Made]]:
    alone, refined, readout = performed(fold.performers(), clip, feature)
    used = refined if fold.is_refined else alone
    yield from zip(METHODS, [shipped[0], shipped[1], alone, refined, used, shipped[2], readout], strict=True)


def changed(preset: Preset, settings: Sequence[str]) -> Preset:
    """With `section.part.name=value` set."""
    values = preset.model_dump()
    for setting in settings:
        name, _, value = setting.partition("=")
        *parts, last = name.split(".")
        place = values
        for part in parts:
            place = place[part]
        place[last] = yaml.safe_load(value)
    return Preset.model_validate(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=Path(__file__).parents[2] / "shared" / "samples" / "clips")
    parser.add_argument("--cache", type=Path, required=True, help="folder for tracked curves, outside of the project")
    parser.add_argument("--set", action="append", default=[], help="a setting of own_face: section.part.name=value")
    parser.add_argument("--fold", type=int, action="append", help="of 0 to 6; default: all")
    given = parser.parse_args()
    torch.set_num_threads(1)
    preset = changed(load_preset("own_face"), given.set)
    clips = {name: load_clip(given.clips, name, given.cache) for name in LAGS}
    base = Workspace(given.cache / "nothing")
    shipped = open_models(base, Path(BASE))
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in METHODS}
    for number, left_out in enumerate(folds()):
        if given.fold and number not in given.fold:
            continue
        print(f"fold {number}: without {', '.join(left_out)}", flush=True)
        others = [clip for name, clip in clips.items() if name not in left_out]
        fold = trained(others, preset, given, given.cache / "folds" / str(number))
        for name in left_out:
            feature = heard(clips[name], preset.speech.feature, given.cache)
            made_before = performed(shipped, clips[name], feature)
            for method, made in methods(fold, made_before, clips[name], feature):
                found[method][name] = scores(made, clips[name])
            print(f"  {name}: " + ", ".join(f"{m} {found[m][name]['r']:.2f}" for m in METHODS), flush=True)
    report(found)


def report(found: dict[str, dict[str, dict[str, float]]]) -> None:
    columns = ("r", "r0", "lips", "round", "std", "closed")
    print(f"\n| method | {' | '.join(columns)} |\n|{'---|' * 7}")
    for method, rows in found.items():
        cells = [_interval([row[column] for row in rows.values()], f"{method}/{column}") for column in columns]
        print(f"| {method} | {' | '.join(cells)} |")
    print("\nr at the clip's lag, differences clip by clip:")
    for one, other in PAIRS:
        differences = [found[one][name]["r"] - found[other][name]["r"] for name in found[one]]
        print(f"  {one} - {other}: {_interval(differences, one + other)}")


if __name__ == "__main__":
    main()
