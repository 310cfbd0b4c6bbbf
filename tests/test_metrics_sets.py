"""Metrics over sets of motions against closed forms, and an emotion classifier that must not be lucky."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.metrics.beats import beat_alignment, mouth_beats
from magictalk_core.metrics.diversity import diversity
from magictalk_core.metrics.emotion import EmotionClassifier
from magictalk_core.metrics.frechet import WindowFeatures, frechet_distance
from magictalk_core.vocabulary.arkit import MOTION_NAMES

JAW = MOTION_NAMES.index("jawOpen")


def motions(seed: int, count: int = 8, channels: int = 10, shift: float = 0.0) -> list[NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    return [shift + random.normal(size=(60, channels)).cumsum(axis=0) / 8 for _ in range(count)]


def jaw(*opened_at: int, frames: int = 80) -> NDArray[np.float64]:
    """A motion whose jaw opens in one frame at each of these and closes slowly."""
    motion = np.zeros((frames, len(MOTION_NAMES)))
    for frame in opened_at:
        motion[frame : frame + 8, JAW] += 0.8 * np.linspace(1, 0, 8) ** 2
    return motion


def test_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    random = np.random.default_rng(0)
    # Samples with exactly these moments: whitened, then scaled.
    raw = random.normal(size=(400, 3))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False))).T
    a, b = white * [1.0, 2.0, 0.5], white * [2.0, 1.0, 0.5] + [1.0, 0.0, -2.0]
    # Commuting covariances: |mean|^2 + sum (std_a - std_b)^2.
    assert frechet_distance(a, b) == pytest.approx(5.0 + 1.0 + 1.0 + 0.0, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_frechet_distance_is_symmetric_and_zero_only_for_the_same(first: int, second: int) -> None:
    features = WindowFeatures.fit(motions(first))
    a, b = features.rows(motions(first)), features.rows(motions(second, shift=0.5))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6)
    assert frechet_distance(a, b) > 0.01


def test_frechet_distance_sees_jitter_and_level() -> None:
    real = motions(1, count=20)
    features = WindowFeatures.fit(real)
    rows = features.rows(real)
    alike = frechet_distance(rows, features.rows(motions(2, count=20)))
    shaken = [m + 0.5 * np.random.default_rng(3).normal(size=m.shape) for m in real]
    assert frechet_distance(rows, features.rows(shaken)) > 2 * alike
    assert frechet_distance(rows, features.rows([m + 4.0 for m in real])) > 3 * alike
    with pytest.raises(PermanentError, match="needs 32 windows of real motion, found 12"):
        WindowFeatures.fit(motions(1, count=1))


def test_diversity_is_the_distance_between_seeds() -> None:
    one = np.zeros((20, 4))
    assert diversity([one, one, one]) == 0.0
    assert diversity([one, one + 0.3]) == pytest.approx(0.3)
    with pytest.raises(PermanentError, match="two performances"):
        diversity([one])


def test_beats_are_where_the_jaw_moves_fastest() -> None:
    assert mouth_beats(jaw(10, 40)).tolist() == [9, 39]
    truth = jaw(10, 40, 60)
    assert beat_alignment(truth, truth) == 1.0
    three_late = beat_alignment(truth, jaw(13, 43, 63))
    assert three_late == pytest.approx(np.exp(-0.5))
    assert beat_alignment(truth, np.zeros_like(truth)) is None


def faces(seed: int, people: int = 4) -> tuple[list[NDArray[np.float64]], list[str]]:
    random = np.random.default_rng(seed)
    found, names = [], []
    for _ in range(people):
        for number, emotion in enumerate(("angry", "happy", "sad")):
            level = np.zeros(6)
            level[number] = 0.5
            found.append(level + 0.2 * random.normal(size=(50, 6)))
            names.append(emotion)
    return found, names


def test_the_classifier_reads_emotions_and_not_noise(tmp_path: Path) -> None:
    trained = EmotionClassifier.fit(*faces(0))
    assert trained.accuracy(*faces(1)) == 1.0
    again = EmotionClassifier.fit(*faces(0))
    assert np.array_equal(again.weights, trained.weights), "no seed"
    seen, names = faces(0, people=20)
    shuffled = np.random.default_rng(5).permutation(names).tolist()
    assert EmotionClassifier.fit(seen, shuffled).accuracy(*faces(2, people=20)) < 0.6
    trained.save(tmp_path / "c.safetensors")
    loaded = EmotionClassifier.load(tmp_path / "c.safetensors")
    assert loaded.emotions == ("angry", "happy", "sad")
    assert [loaded.shows(m) for m in faces(1)[0]] == [trained.shows(m) for m in faces(1)[0]]
    with pytest.raises(PermanentError, match="needs two emotions"):
        EmotionClassifier.fit([seen[0]], ["angry"])
