"""Baselines: what they copy and what they cannot know."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge as Reference
from training_fixtures import build

from magictalk_core.evaluation.around_style import mouth_columns, spoken_segments
from magictalk_core.evaluation.baselines import BASELINES, Baselines, NearestSpeech, constant_motion
from magictalk_core.evaluation.kernel_ridge import KernelRidge
from magictalk_core.evaluation.loudness_mouth import LoudnessMouth
from magictalk_core.speech.loudness import QUIET_DB, frame_loudness
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    path = tmp_path_factory.mktemp("baselines")
    build(path)
    return TrainingSet.open(path / "set")


def test_the_mean_is_held() -> None:
    assert np.array_equal(constant_motion(np.array([1.0, 2.0]), 3), [[1, 2]] * 3)


def test_training_speech_finds_its_own_motion(data: TrainingSet) -> None:
    row = data.index[data.index["split"] == Split.TRAIN].iloc[0]
    part = slice(int(row["start"]), int(row["start"]) + 24)
    motion = NearestSpeech.fit(data).motion(np.asarray(data.features[part]))
    assert np.array_equal(motion, data.states[part])


@pytest.mark.parametrize("length", [1, 7, 8, 9, 50])
def test_the_motion_is_as_long_as_the_speech_and_of_the_training_split(data: TrainingSet, length: int) -> None:
    held_out = data.index[data.index["split"] == Split.TEST].iloc[0]
    start = int(held_out["start"])
    speech = np.asarray(data.features[start : start + length])
    speech = np.pad(speech, ((0, length - len(speech)), (0, 0)), mode="edge")
    motion = NearestSpeech.fit(data).motion(speech)
    rows = data.index[data.index["split"] == Split.TRAIN]
    train = np.concatenate([data.states[s : s + n] for s, n in zip(rows["start"], rows["length"], strict=True)])
    assert motion.shape == (length, len(data.channels))
    assert all((row == train).all(axis=1).any() for row in motion)


def voice_of(data: TrainingSet, late: int = 0) -> dict[str, np.ndarray]:
    """Clip -> a loudness that the jaw follows `late` frames later."""
    jaw = data.channels.index("jawOpen")
    found = {}
    for row in data.index.itertuples():
        values = np.asarray(data.states[row.start : row.start + row.length, jaw], np.float64)
        found[row.clip_id] = 20 * np.concatenate([values[late:], np.repeat(values[-1], late)])
    return found


def without_validation(data: TrainingSet) -> TrainingSet:
    return replace(data, index=data.index[data.index["split"] != Split.VAL])


def test_what_moves_about_the_style_has_no_mean(data: TrainingSet) -> None:
    for split in (Split.TRAIN, Split.VAL):
        segments = spoken_segments(data, split)
        assert {s.clip_id for s in segments} == set(data.index.loc[data.index["split"] == split, "clip_id"])
        assert all(np.abs(s.moved.mean(axis=0)).max() < 1e-6 for s in segments)


def test_the_ridge_is_that_of_scikit_learn(data: TrainingSet) -> None:
    found = KernelRidge.fit(without_validation(data))
    assert found.settings.tuned_on == 0
    moved = np.concatenate([s.moved for s in spoken_segments(data, Split.TRAIN)])
    reference = Reference(alpha=found.settings.ridges[0], kernel="rbf", gamma=found.scale).fit(found.keys, moved)
    speech = np.asarray(data.features[:30])
    near = found.movement(speech)
    normal, reach = (speech - found.mean) / found.std, found.settings.reach
    at = [np.clip(np.arange(30) + shift, 0, 29) for shift in (-reach, 0, reach)]
    assert near == pytest.approx(reference.predict(np.concatenate([normal[i] for i in at], axis=1)), abs=1e-6)


def test_the_ridge_follows_what_speech_tells_and_leaves_the_rest_alone(data: TrainingSet) -> None:
    found = KernelRidge.fit(data)
    jaw, brow = data.channels.index("jawOpen"), data.channels.index("browInnerUp")
    held_out = spoken_segments(data, Split.TEST)
    made = np.concatenate([found.movement(s.features) for s in held_out])
    truth = np.concatenate([s.moved for s in held_out])
    assert np.corrcoef(made[:, jaw], truth[:, jaw])[0, 1] > 0.5
    assert made[:, brow].std() < 0.5 * truth[:, brow].std(), "noise is not predicted"
    assert found.settings.tuned_on == 4 and found.settings.facts()["reach"] == 0, "the jaw follows its own frame"


@pytest.mark.parametrize("late", [0, 2])
def test_loudness_finds_how_late_the_mouth_is(data: TrainingSet, late: int) -> None:
    voice = voice_of(data, late)
    found = LoudnessMouth.fit(data, voice.__getitem__)
    assert (found.settings.delay, found.settings.smoothing, found.settings.tuned_on) == (late, 0.0, 4)
    jaw, mouth = data.channels.index("jawOpen"), mouth_columns(data.channels)
    assert found.slopes[jaw] == pytest.approx(1 / 20, rel=0.1)
    assert not found.slopes[[i for i in range(len(data.channels)) if i not in mouth]].any()
    alone = LoudnessMouth.fit(without_validation(data), voice.__getitem__)
    assert (alone.settings.delay, alone.settings.tuned_on) == (0, 0)


def test_every_baseline_is_as_long_as_the_speech_and_in_range(data: TrainingSet) -> None:
    voice = voice_of(data)
    baselines = Baselines.fit(data, voice.__getitem__)
    row = data.index[data.index["split"] == Split.TEST].iloc[0]
    part = slice(int(row["start"]), int(row["start"] + row["length"]))
    style = np.asarray(data.states[:17])
    made = baselines.motions(np.asarray(data.features[part]), style, voice[row["clip_id"]])
    assert set(made) == set(BASELINES)
    faces = [i for i, name in enumerate(data.channels) if not name.startswith("head_")]
    for motion in made.values():
        assert motion.shape == (row["length"], len(data.channels)) and motion.dtype == np.float32
        assert motion[:, faces].min() >= 0 and motion[:, faces].max() <= 1
    assert np.ptp(made["style_mean"], axis=0).max() == 0
    assert np.array_equal(made["style_replay"][17:34], style)
    other = baselines.motions(np.asarray(data.features[part])[::-1], style, voice[row["clip_id"]])
    for method in ("style_mean", "style_replay", "mean_motion", "loudness"):
        assert np.array_equal(other[method], made[method]), method


def test_what_moves_as_a_network_does_gets_what_follows_one(data: TrainingSet) -> None:
    voice = voice_of(data)
    baselines = Baselines.fit(data, voice.__getitem__)
    speech, style = np.asarray(data.features[:40]), np.asarray(data.states[:17])
    plain = baselines.motions(speech, style, np.zeros(40))
    finished = baselines.motions(speech, style, np.zeros(40), lambda motion: motion * 0)
    changed = {method for method in BASELINES if not np.array_equal(plain[method], finished[method])}
    assert changed == {"loudness", "kernel_ridge"}, "a replay moves as a person did, a still face stays still"


def test_loudness_is_relative_to_the_clip_and_silence_is_silence() -> None:
    tone = np.sin(np.arange(16000) * 0.3).astype(np.float32)
    tone[8000:] *= 0.1
    found = frame_loudness(tone, 25)
    assert found[2:11] == pytest.approx(0, abs=0.3) and found[14:24] == pytest.approx(-20, abs=0.3)
    assert frame_loudness(0.01 * tone, 25) == pytest.approx(found, abs=1e-4)
    assert (frame_loudness(np.zeros(100, np.float32), 5) == QUIET_DB).all() and len(frame_loudness(tone, 0)) == 0
    assert frame_loudness(tone[:4000], 25)[10:].max() == QUIET_DB, "a picture longer than its sound"
