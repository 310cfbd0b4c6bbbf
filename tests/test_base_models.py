"""The recipe of `magictalk-base`: faces of rules in eight moods, takes as a training set, styles, all at tiny size."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from training_fixtures import build, lip_preset

from magictalk_core.config import TrainingSetConfig
from magictalk_core.errors import PermanentError
from magictalk_core.metrics.blinks import find_blinks
from magictalk_core.models.audio2bs.model import Audio2BSModel
from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.models.families import FAMILIES
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.models.lip_residue.network import ResidueGenerator
from magictalk_core.models.lip_residue.task import ResidueTask
from magictalk_core.models.shipped.base import BASE, BASE_FAMILIES, SYNC_EXPERT
from magictalk_core.models.sync_expert.linear import LINEAR_SYNC, LinearSync
from magictalk_core.recipes.base_models.expressions import MANNERS, STRENGTHS
from magictalk_core.recipes.base_models.pack import pack_models
from magictalk_core.recipes.base_models.performance import PLAIN, Persona, perform
from magictalk_core.recipes.base_models.run import run_recipe
from magictalk_core.recipes.base_models.settings import HELD_OUT, BaseSettings, recipe_preset
from magictalk_core.recipes.base_models.styles import style_bank
from magictalk_core.recipes.base_models.takes import takes_of, write_training_set
from magictalk_core.recipes.base_voice.articulation import mouth_curves
from magictalk_core.recipes.base_voice.recordings import SPEAKERS, Recording, RecordingSettings
from magictalk_core.recipes.base_voice.speaking import Speaker
from magictalk_core.speech.features import WHISPER
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.training_set.style_pool import StylePools
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES, MOTION_NAMES, STATE_NAMES, mirror_name
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import EMOTIONS, NEUTRAL, SIGNATURES

Motion = NDArray[np.float32]

SAID = tuple(
    (phone, 0.4 + 0.12 * i, 0.52 + 0.12 * i) for i, phone in enumerate("M AA B IY F AE W UW P EH L OW M".split() * 2)
)
FRAMES = 100
MOUTH = mouth_curves(SAID, FRAMES, JAW_MOUTH_NAMES, 0.67)


def column(motion: Motion, name: str) -> Motion:
    return motion[:, STATE_NAMES.index(name)]


def performed(emotion: str, strength: float, mouth: Motion = MOUTH, persona: Persona = PLAIN) -> Motion:
    return perform(mouth, MANNERS[emotion], strength, persona, np.random.default_rng(3))


def test_every_emotion_of_mead_has_a_manner() -> None:
    assert sorted(MANNERS) == sorted(EMOTIONS)
    known = {stem for name in STATE_NAMES for stem in (name, name.removesuffix("Left"), name.removesuffix("Right"))}
    assert {name for manner in MANNERS.values() for name in (*manner.face, *manner.pose)} <= known


@pytest.mark.parametrize("emotion", sorted(MANNERS))
def test_a_face_is_in_range_and_a_mood_at_no_strength_is_neutral(emotion: str) -> None:
    motion = performed(emotion, 1.0)
    assert motion.shape == (FRAMES, 57) and 0 <= motion[:, :51].min() and motion[:, :51].max() <= 1
    np.testing.assert_allclose(performed(emotion, 0.0)[:, -3:], performed(NEUTRAL, 0.0)[:, -3:], atol=3)
    calm = np.abs(performed(emotion, 0.0)[:, :51].mean(0) - performed(NEUTRAL, 0.0)[:, :51].mean(0))
    assert calm.max() < 0.06, STATE_NAMES[int(calm.argmax())]


@pytest.mark.parametrize("emotion", sorted(set(MANNERS) - {NEUTRAL}))
def test_a_stronger_mood_is_further_from_neutral(emotion: str) -> None:
    neutral = performed(NEUTRAL, 0.0)[:, :51].mean(0)
    far = [np.abs(performed(emotion, s)[:, :51].mean(0) - neutral).sum() for s in (0.0, *STRENGTHS.values())]
    assert far == sorted(far) and far[-1] > 1.0
    for channels in SIGNATURES.get(emotion, ()):
        assert all(
            column(performed(emotion, 1.0), c).mean() > column(performed(NEUTRAL, 0.0), c).mean() for c in channels
        )


@pytest.mark.parametrize("emotion", sorted(MANNERS))
def test_lips_that_meet_in_speech_meet_in_every_mood(emotion: str) -> None:
    motion, calm = performed(emotion, 1.0), performed(NEUTRAL, 0.0)
    closed = column(calm, "mouthPressLeft") > 0.3
    assert closed.sum() > 5
    for name in ("jawOpen", "mouthUpperUpLeft", "mouthLowerDownLeft"):
        assert (column(motion, name) - MANNERS[emotion].opening * column(calm, name))[closed].max() < 0.01


def test_in_silence_the_mouth_rests_lids_blink_and_the_head_moves() -> None:
    still = performed(NEUTRAL, 0.0, np.zeros((1500, 27), np.float32))
    assert not still[:, [STATE_NAMES.index(name) for name in JAW_MOUTH_NAMES]].any()
    whole = np.zeros((1500, len(MOTION_NAMES)))
    whole[:, [MOTION_NAMES.index(name) for name in STATE_NAMES]] = still
    assert 8 <= (find_blinks(whole).per_minute or 0) <= 30
    yaw = column(still, "head_yaw_deg")
    steps = np.diff(yaw)
    assert yaw.std() > 0.5 and np.corrcoef(steps[1:], steps[:-1])[0, 1] > 0.9


def test_a_mirrored_person_does_the_same_with_the_other_side() -> None:
    one, other = performed("contempt", 1.0), performed("contempt", 1.0, persona=Persona(is_mirrored=True))
    assert column(one, "mouthSmileRight").mean() > 0.2 > 0.1 > column(one, "mouthSmileLeft").mean()
    for name in ("mouthSmileRight", "browOuterUpRight", "jawOpen", "mouthRight"):
        np.testing.assert_array_equal(column(one, name), column(other, mirror_name(name)))
    np.testing.assert_array_equal(column(one, "head_roll_deg"), -column(other, "head_roll_deg"))


def recordings(speakers: int = 3, each: int = 4) -> list[Recording]:
    random = np.random.default_rng(0)
    heard = random.normal(size=(speakers, each, FRAMES, 29)).astype(np.float32)
    return [
        Recording(Speaker("toy", f"v{place}"), "words" if number else "", heard[place, number],
                  MOUTH if number else np.zeros_like(MOUTH), SAID if number else ())
        for place in range(speakers) for number in range(each)
    ]  # fmt: skip


def test_takes_are_a_training_set_in_which_only_the_style_tells_the_mood(tmp_path: Path) -> None:
    spoken = recordings()
    takes = list(takes_of(spoken, 1))
    assert len(takes) == 3 * len(spoken) and Counter(take.emotion for take in takes)[NEUTRAL] == len(spoken)
    assert {take.emotion for take in takes} == set(EMOTIONS)
    strengths: dict[tuple[str, str], set[float]] = {}
    for take in takes:
        strengths.setdefault((take.recording.speaker.voice, take.emotion), set()).add(take.strength)
    assert all(len(found) == 1 for found in strengths.values())
    config = TrainingSetConfig(window=32, stride=4)
    write_training_set(spoken, frozenset({"v2"}), "logmel-29-1", config, 1, tmp_path / "set")
    data = TrainingSet.open(tmp_path / "set")
    assert set(data.index.loc[data.index["speaker"] == "toy-v2-1", "split"]) == {Split.VAL}
    assert len(data.index) == len(takes) and data.channels == STATE_NAMES
    # The same sound in every mood.
    rows = data.index[data.index["source"] == "toy-v0-1-1"]
    heard = [np.asarray(data.features[s : s + n]) for s, n in zip(rows["start"], rows["length"], strict=True)]
    assert len(heard) == 3 and all(np.array_equal(heard[0], other) for other in heard)
    # Style frames come from other takes of the same person in the same mood.
    pools, start = StylePools(data.index, 32), rows["start"].to_numpy()[:1]
    drawn = pools.draw(start, 3, torch.Generator().manual_seed(0))[0]
    found = data.index.iloc[np.searchsorted(data.index["start"], drawn, side="right") - 1]
    own = data.index.iloc[np.searchsorted(data.index["start"], start, side="right") - 1].iloc[0]
    assert set(found["emotion"]) == {own["emotion"]} and set(found["speaker"]) == {own["speaker"]}


def test_styles_are_eight_emotions_at_three_strengths_that_mix_to_weaker_ones() -> None:
    bank = style_bank([one for one in recordings(1, 3) if one.text])
    assert sorted(bank.emotions) == sorted(EMOTIONS) and len(bank.clips) == 7 * 3 + 1
    calm = bank.frames(NEUTRAL)
    for emotion in set(EMOTIONS) - {NEUTRAL}:
        assert np.array_equal(bank.frames(emotion), bank.frames(f"{emotion}_3"))
        levels = [np.abs(bank.frames(f"{emotion}_{k}") - calm)[:, :51].mean() for k in (1, 2, 3)]
        assert levels == sorted(levels)
        mixed, weaker = bank.at_intensity(emotion, STRENGTHS[2]), bank.frames(f"{emotion}_2")
        assert np.abs(mixed - weaker)[:, :51].mean() < 0.01
        turned = bank.frames(emotion)[:, 51:].mean(0) - [MANNERS[emotion].pose.get(n, 0.0) for n in STATE_NAMES[51:]]
        np.testing.assert_allclose(turned, 0, atol=1e-4)


def test_the_recipe_holds_voices_of_two_engines_out_and_trains_the_preset_base() -> None:
    held_out = [speaker for speaker in SPEAKERS if speaker.voice in HELD_OUT]
    assert {speaker.engine for speaker in held_out} == {"espeak-ng", "flite"} and len(held_out) < len(SPEAKERS) / 4
    preset = recipe_preset({"emodiff": {"training": {"epochs": 2}}})
    assert preset.audio2bs.network.base == "linear" and preset.emodiff.training.epochs == 2
    assert preset.lip_residue.network.reads == "mouth" and preset.lip_residue.training.sync_weight == 0


def test_a_residue_that_reads_the_mouth_is_deaf_to_the_state() -> None:
    config = recipe_preset({}).lip_residue.network
    residue = ResidueGenerator(config, 24, 27, 51)
    torch.nn.init.normal_(residue.last.weight)
    mouth, style = torch.rand(2, 5, 27), torch.randn(2, 32, 51)
    one, other = (residue(mouth, torch.randn(2, 5, 24), style) for _ in range(2))
    assert torch.equal(one, other) and not torch.equal(one, residue(mouth + 0.1, torch.zeros(2, 5, 24), style))


def test_models_are_packed_in_half_precision_and_stay_a_pair(tmp_path: Path) -> None:
    build(tmp_path)
    settings = lip_preset(epochs=1)
    residue = settings.lip_residue.model_copy(
        update={
            "network": settings.lip_residue.network.model_copy(update={"reads": "mouth"}),
            "training": settings.lip_residue.training.model_copy(update={"sync_weight": 0.0}),
        }
    )
    train(FAMILIES["audio2bs"], settings, tmp_path / "set", tmp_path / "models" / "audio2bs", MemoryTracker())
    (mouth,) = (tmp_path / "models" / "audio2bs").glob("*/model")
    data = TrainingSet.open(tmp_path / "set").learned()
    task = ResidueTask(residue, data, Audio2BSModel.load(mouth), None)
    assert not task.sync_counts(task.build_network())
    family = replace(FAMILIES["lip_residue"], needs=("audio2bs",))
    preset = settings.model_copy(update={"lip_residue": residue})
    path = train(family, preset, tmp_path / "set", tmp_path / "models" / "lip_residue", MemoryTracker()).path
    pack_models({"audio2bs": mouth, "lip_residue": path}, StyleBank({}, {}), tmp_path / "packed")
    whole = LipRefiner.load(mouth, path)
    half = LipRefiner.load(tmp_path / "packed" / "audio2bs", tmp_path / "packed" / "lip_residue")
    speech, style = np.array(data.features[:40]), np.array(data.states[:40])
    a, b = (one.mouth_of(speech, style, data.channels).mouth for one in (whole, half))
    np.testing.assert_allclose(a, b, atol=2e-3)
    assert (tmp_path / "packed" / "audio2bs" / "model.safetensors").stat().st_size < 0.6 * (
        mouth / "model.safetensors"
    ).stat().st_size
    weights = load_file(mouth / "model.safetensors")
    save_file({name: value * 1e6 for name, value in weights.items()}, mouth / "model.safetensors")
    with pytest.raises(PermanentError, match="beyond half precision"):
        pack_models({"audio2bs": mouth}, StyleBank({}, {}), tmp_path / "again")


def test_the_recipe_from_nothing_at_tiny_size(tmp_path: Path) -> None:
    missing = [engine for engine in ("espeak-ng", "flite") if not shutil.which(engine)]
    if missing:
        pytest.skip(f"speaks with {' and '.join(missing)}, which is not installed: apt-get install {' '.join(missing)}")
    learning = {"epochs": 1, "batch": 8}
    changes = {
        "training_set": {"window": 16, "stride": 32},
        "emodiff": {"network": {"hidden": 16, "blocks": 1, "heads": 2}, "training": learning,
                    "sampling": {"evaluations": 2}},
        "audio2bs": {"network": {"base_components": 24, "hidden": 8, "encoder": 8, "head": 8}},
        "lip_residue": {"training": {**learning, "run": 8, "stride": 16}},
    }  # fmt: skip
    speakers = (Speaker("espeak-ng", "en-us+m3"), Speaker("flite", "kal16"), Speaker("flite", "awb"))
    settings = BaseSettings(RecordingSettings(sentences=2, silence_s=1.0), speakers, changes=changes)
    measured = run_recipe(tmp_path, settings)
    assert set(measured["methods"]) == {"emodiff", "magictalk"}
    assert measured["methods"]["magictalk"]["jaw_r"] > 0.3 and measured["lips"]["clips"] > 0
    folder = tmp_path / BASE
    assert json.loads((folder / "measured.json").read_text())["version"] == measured["version"]
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {*BASE_FAMILIES, SYNC_EXPERT}
    assert LinearSync.load(folder / SYNC_EXPERT / LINEAR_SYNC).feature == WHISPER and measured["offsets"]["clips"] > 0
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".safetensors", ".json", ".md"}
    assert f"{measured['methods']['magictalk']['jaw_r']:.3f}" in (folder / "README.md").read_text()
