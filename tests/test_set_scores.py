"""Scores of a whole test set where there is too little of it: rows without a value that say why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from training_fixtures import build

from magictalk_core.evaluation.baselines import BASELINES, Baselines
from magictalk_core.evaluation.generate import to_motion
from magictalk_core.evaluation.motion_judge import Judge
from magictalk_core.evaluation.performers import baseline_performers
from magictalk_core.evaluation.set_scores import frechet_rows, model_rows, performer_rows, reference_rows
from magictalk_core.evaluation.trials import StyledSpeech, Trials
from magictalk_core.metrics.frechet import LEAST_WINDOWS, window_count
from magictalk_core.models.emodiff.model import MotionRequest
from magictalk_core.preparation.reader import ClipData
from magictalk_core.training_set.dataset import TrainingSet
from magictalk_core.vocabulary.clips import Split


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    path = tmp_path_factory.mktemp("sets")
    build(path)
    return TrainingSet.open(path / "set")


FEW = ("mouthSmileLeft", "jawOpen", "browInnerUp")
"""Channels of which one tells the emotion: among all of them a dozen clips would teach the noise."""


def judge(data: TrainingSet, clips: int, styled: Sequence[StyledSpeech] = ()) -> tuple[Judge, list[np.ndarray]]:
    """`clips` real test clips of 40 frames, 7 windows each; without `styled` there is nobody to ask for a style."""
    real = [np.asarray(data.states[40 * i : 40 * (i + 1)]) for i in range(clips)]
    ids = tuple(f"c/s/{i}" for i in range(clips))
    faces = tuple(range(len(data.channels) - 6))
    if styled:
        faces = tuple(data.channels.index(name) for name in FEW)
    return Judge.fit(Trials(data.channels, faces, tuple(styled), (), tuple(real), ids), data), real


def motions(data: TrainingSet, made: list[np.ndarray], method: str) -> dict[str, dict[str, np.ndarray]]:
    return {f"c/s/{i}": {method: to_motion(motion, data.channels)} for i, motion in enumerate(made)}


def test_few_windows_give_a_row_without_a_value_and_the_reason(data: TrainingSet) -> None:
    short, real = judge(data, 3)
    for row in frechet_rows(short, motions(data, real, "emodiff")):
        ending = "No value: too few windows of 16 frames for two halves (21 < 64)."
        assert row["value"] is None and row["detail"].endswith(ending)


def test_a_copy_is_as_far_from_the_real_clips_as_they_are_from_each_other(data: TrainingSet) -> None:
    enough, real = judge(data, 12)
    copies = {row["metric"]: row["value"] for row in frechet_rows(enough, motions(data, real, "copy"))}
    still = [np.repeat(m.mean(axis=0)[None], len(m), axis=0) for m in real]
    frozen = {row["metric"]: row["value"] for row in frechet_rows(enough, motions(data, still, "frozen"))}
    shown = {(r["method"], r["metric"]): r["value"] for r in reference_rows(enough, data, 16)}
    for metric in ("frechet_distance", "frechet_dynamics"):
        assert copies[metric] == pytest.approx(shown["ground_truth", metric]) and copies[metric] > 0
        assert frozen[metric] > 3 * copies[metric], metric


def test_windows_are_counted_as_they_are_cut(data: TrainingSet) -> None:
    lengths = [np.zeros((n, 4)) for n in (0, 15, 16, 19, 20, 40)]
    assert window_count(lengths) == 0 + 0 + 1 + 1 + 2 + 7
    assert window_count([np.zeros((40, 4))] * 5) >= LEAST_WINDOWS > window_count([np.zeros((40, 4))] * 4)


def test_without_styled_speakers_emotion_has_no_value_and_says_why(data: TrainingSet) -> None:
    short, _ = judge(data, 0)
    made, trials = performer_rows(short, {"emodiff": _Silent()})
    rows = {(r["method"], r["metric"]): r for r in made + model_rows(short, {"emodiff": _Silent()})}
    for metric in ("style_accuracy", "style_dynamics_accuracy", "intensity_correlation", "diversity"):
        row = rows["emodiff", metric]
        assert row["value"] is None and "No value: no " in row["detail"], metric
    assert rows["emodiff", "long_seam_ratio"]["value"] is None and trials == []


def test_a_frozen_face_shows_its_emotion_by_level_and_none_by_movement(data: TrainingSet) -> None:
    styled = []
    rows = data.index[data.index["split"] == Split.TEST]
    segments = {r.clip_id: (r.emotion, slice(r.start, r.start + r.length)) for r in rows.itertuples()}
    frames = np.concatenate([data.states[part] for _, part in segments.values()])
    face = frames.mean(axis=0)[[data.channels.index(name) for name in FEW]]
    for clip_id, (_, part) in segments.items():
        clip = ClipData(clip_id, np.zeros((40, 58), np.float32), np.asarray(data.features[part]), "f", "t")
        for emotion, style in {e: np.asarray(data.states[p]) for e, p in segments.values()}.items():
            styled.append(StyledSpeech(clip, np.ones(40, np.float32), emotion, style, style, face))
    asked, _ = judge(data, 3, styled)
    silence = np.zeros(40)
    baselines = Baselines.fit(data, lambda clip: silence)
    performers = baseline_performers(None, baselines, lambda clip: silence, data.channels)
    assert set(performers) == set(BASELINES)
    made, trials = performer_rows(
        asked, {name: performers[name] for name in ("style_replay", "style_mean", "mean_motion")}
    )
    found = {(r["method"], r["metric"]): r for r in made}
    assert found["style_replay", "style_accuracy"]["value"] == 1.0
    assert found["style_mean", "style_dynamics_accuracy"]["value"] == 0.5, "of two emotions it always shows one"
    assert found["mean_motion", "style_accuracy"]["value"] == 0.5
    shown = [row["shown"] for row in trials if (row["method"], row["metric"]) == ("style_replay", "style_accuracy")]
    assert len(shown) == len(styled) and all(shown)
    chance = {(r["method"], r["metric"]): r["value"] for r in reference_rows(asked, data, 16)}
    assert chance["chance", "style_accuracy"] == 0.5


class _Silent:
    """A model that is asked for nothing: there is no test clip to ask with."""

    def generate_many(self, requests: Sequence[MotionRequest], **_: object) -> list[np.ndarray]:
        assert not requests
        return []

    def perform(self, clip_ids: Sequence[str], requests: Sequence[MotionRequest]) -> list[np.ndarray]:
        assert not requests and not clip_ids
        return []
