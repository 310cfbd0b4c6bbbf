"""Scores of a whole test set where there is too little of it: rows without a value that say why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from training_fixtures import build

from magictalk_core.evaluation.generate import motion_rows, to_motion
from magictalk_core.evaluation.set_scores import Judge, frechet_rows, rows_of_models
from magictalk_core.evaluation.trials import Trials
from magictalk_core.metrics.frechet import LEAST_WINDOWS, window_count
from magictalk_core.training_set.dataset import TrainingSet


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    path = tmp_path_factory.mktemp("sets")
    build(path)
    return TrainingSet.open(path / "set")


def judge(data: TrainingSet, clips: int) -> tuple[Judge, list[np.ndarray]]:
    """`clips` real test clips of 40 frames, 7 windows each, and nobody to ask for a style."""
    real = [np.asarray(data.states[40 * i : 40 * (i + 1)]) for i in range(clips)]
    return Judge.fit(Trials(data.channels, tuple(range(len(data.channels) - 6)), (), (), tuple(real)), data), real


def test_few_windows_give_a_row_without_a_value_and_the_reason(data: TrainingSet) -> None:
    short, real = judge(data, 3)
    table = motion_rows("c/s/1", "emodiff", to_motion(real[0], data.channels))
    (row,) = frechet_rows(short, table)
    assert row["value"] is None and row["detail"].endswith("No value: too few windows of 16 frames (7 < 32).")
    enough, real = judge(data, 5)
    tables = [motion_rows(f"c/s/{i}", "copy", to_motion(m, data.channels)) for i, m in enumerate(real)]
    (row,) = frechet_rows(enough, pd.concat(tables))
    assert row["value"] == pytest.approx(0, abs=1e-6) and "No value" not in row["detail"]


def test_windows_are_counted_as_they_are_cut(data: TrainingSet) -> None:
    motions = [np.zeros((n, 4)) for n in (0, 15, 16, 19, 20, 40)]
    assert window_count(motions) == 0 + 0 + 1 + 1 + 2 + 7
    assert window_count([np.zeros((40, 4))] * 5) >= LEAST_WINDOWS > window_count([np.zeros((40, 4))] * 4)


def test_without_styled_speakers_emotion_has_no_value_and_says_why(data: TrainingSet) -> None:
    short, _ = judge(data, 3)
    rows = {(r["method"], r["metric"]): r for r in rows_of_models(short, {"emodiff": _Silent()}, data)}
    for metric in ("style_accuracy", "intensity_correlation", "diversity", "long_seam_ratio"):
        row = rows["emodiff", metric]
        assert row["value"] is None and "No value: no " in row["detail"], metric


class _Silent:
    """A model that is asked for nothing: there is no test clip to ask with."""

    def generate_many(self, requests: list[object], **_: object) -> list[np.ndarray]:
        assert not requests
        return []
