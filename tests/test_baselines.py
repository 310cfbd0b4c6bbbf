"""Baselines: what they copy and what they cannot know."""

from __future__ import annotations

import numpy as np
import pytest
from training_fixtures import build

from magictalk_core.evaluation.baselines import NearestSpeech, constant_motion
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
