"""Claims: won only against the best baseline and for sure, and told in words where they are not."""

from __future__ import annotations

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from assets.evaluation import _claim_check, _claims_hold
from magictalk_core.evaluation.baselines import BASELINES
from magictalk_core.evaluation.claim_table import claims_markdown, frechet_verdicts, looks_at_held_out
from magictalk_core.evaluation.claims import (
    CLIP_CLAIMS,
    SET_CLAIMS,
    Claim,
    Outcome,
    claim_rows,
    clip_verdicts,
    trial_verdicts,
)
from magictalk_core.metrics.intervals import crossed_interval, mean_interval
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLAIMS
from magictalk_core.workspace import Workspace

CLIPS = 12
JAW = Claim("the jaw follows", "jaw_open_correlation", baselines=("loudness", "kernel_ridge", "style_mean"))


def scores(metric: str, **methods: np.ndarray | list[float | None]) -> pd.DataFrame:
    rows = [
        {
            "clip_id": f"c/s/{i:02d}",
            "method": method,
            "metric": metric,
            "value": value,
            "unit": "1",
            "stand_ins": "none",
        }
        for method, values in methods.items()
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows).astype({"value": float})


def noise(mean: float, seed: int = 0) -> np.ndarray:
    return mean + np.random.default_rng(seed).normal(0, 0.05, CLIPS)


def test_a_claim_is_held_against_the_best_baseline_clip_by_clip() -> None:
    ridge = noise(0.7)
    table = scores(
        "jaw_open_correlation",
        magictalk=ridge + noise(0.1, 1),
        kernel_ridge=ridge,
        loudness=noise(0.5),
        style_mean=[None] * CLIPS,
    )
    (found,) = clip_verdicts(table, [JAW])
    assert (found.baseline, found.outcome, found.n) == ("kernel_ridge", Outcome.WINS, CLIPS)
    gains = np.asarray(noise(0.1, 1))
    assert found.gain == pytest.approx(gains.mean()) and found.value == pytest.approx((ridge + gains).mean())
    assert (found.low, found.high) == pytest.approx(
        mean_interval(gains, "magictalk/jaw_open_correlation/kernel_ridge", 2000)
    )
    assert "wins" in found.sentence and "kernel_ridge" in found.sentence


def test_beating_loudness_and_a_constant_is_not_enough() -> None:
    table = scores("jaw_open_correlation", magictalk=noise(0.72), kernel_ridge=noise(0.72, 5), loudness=noise(0.5))
    (found,) = clip_verdicts(table, [JAW])
    assert found.outcome is Outcome.OPEN and "open" in found.sentence
    table = scores("jaw_open_correlation", magictalk=noise(0.6), kernel_ridge=noise(0.72, 5))
    assert clip_verdicts(table, [JAW])[0].outcome is Outcome.LOSES


@pytest.mark.parametrize(
    ("metric", "good", "bad"),
    [
        ("mae_mouth", 0.1, 0.3),
        ("amplitude_mouth", 0.9, 0.2),
        ("amplitude_mouth", 1.1, 2.5),
        ("head_std_deg", 2.1, 0.1),
        ("head_std_deg", 1.9, 6.0),
    ],
)
def test_what_is_better_is_what_the_metric_says(metric: str, good: float, bad: float) -> None:
    claim = Claim("x", metric, baselines=("loudness",))
    for mine, other, outcome in ((good, bad, Outcome.WINS), (bad, good, Outcome.LOSES)):
        table = scores(metric, magictalk=noise(mine), loudness=noise(other, 3), ground_truth=np.full(CLIPS, 2.0))
        assert clip_verdicts(table, [claim])[0].outcome is outcome


def test_nothing_to_compare_is_a_row_that_says_so() -> None:
    table = scores("jaw_open_correlation", magictalk=noise(0.7), style_mean=[None] * CLIPS)
    (found,) = clip_verdicts(table, [JAW])
    assert found.outcome is Outcome.NO_VALUE and "nothing to compare" in found.sentence
    one = scores("jaw_open_correlation", magictalk=[0.7], loudness=[0.2])
    assert clip_verdicts(one, [JAW])[0].outcome is Outcome.NO_VALUE, "one clip has no interval"
    assert clip_verdicts(table, [Claim("x", "mae_eyes")])[0].baseline is None


def test_emotions_are_counted_by_clip() -> None:
    rows = []
    for clip in range(CLIPS):
        for emotion in ("happy", "sad", "angry"):
            for method, shown in (
                ("magictalk", emotion != "sad"),
                ("style_replay", True),
                ("loudness", emotion == "sad"),
            ):
                rows.append(
                    {
                        "clip_id": f"c/s/{clip}",
                        "method": method,
                        "metric": "style_dynamics_accuracy",
                        "emotion": emotion,
                        "shown": shown,
                    }
                )
    everybody, speaking = trial_verdicts(pd.DataFrame(rows))
    assert (everybody.baseline, everybody.outcome) == ("style_replay", Outcome.LOSES)
    assert (speaking.baseline, speaking.outcome) == ("loudness", Outcome.WINS)
    assert speaking.n == CLIPS and speaking.value == pytest.approx(2 / 3) and speaking.claim.check == "style_is_shown"


def test_frechet_claims_draw_the_clips_anew() -> None:
    random = np.random.default_rng(0)
    real = [random.normal(size=(60, 8)).cumsum(axis=0) / 8 for _ in range(16)]
    alike = [random.normal(size=(60, 8)).cumsum(axis=0) / 8 for _ in range(16)]
    shaken = [m + random.normal(size=m.shape) for m in real]
    claims = [c for c in SET_CLAIMS if c.metric.startswith("frechet")]
    found = frechet_verdicts(real, {"magictalk": alike, "loudness": shaken}, claims)
    assert [one.outcome for one in found] == [Outcome.WINS] * 3 and all(one.low < one.gain * 2 for one in found)
    swapped = frechet_verdicts(real, {"magictalk": shaken, "loudness": alike}, claims)
    assert [one.outcome for one in swapped] == [Outcome.LOSES] * 3
    few = frechet_verdicts(real[:2], {"magictalk": alike[:2], "loudness": shaken[:2]}, claims)
    assert [one.outcome for one in few] == [Outcome.NO_VALUE] * 3


def test_every_claim_names_a_metric_and_its_opponents() -> None:
    checks = {claim.check for claim in (*CLIP_CLAIMS, *SET_CLAIMS)} - {""}
    assert checks == {"mouth_follows_speech", "style_is_shown"}
    for claim in (*CLIP_CLAIMS, *SET_CLAIMS):
        assert claim.spec.name == claim.metric and claim.method not in claim.baselines
        assert set(claim.baselines) <= {*BASELINES, "emodiff_no_style"}
    assert len({claim.says for claim in (*CLIP_CLAIMS, *SET_CLAIMS)}) == len(CLIP_CLAIMS) + len(SET_CLAIMS)


def test_the_table_fills_its_contract_and_its_page_names_the_opponent(tmp_path: object, workspace: Workspace) -> None:
    verdicts = clip_verdicts(scores("jaw_open_correlation", magictalk=noise(0.7), loudness=noise(0.5)), CLIP_CLAIMS)
    stand_ins = {claim.metric: "none" for claim in CLIP_CLAIMS}
    path = workspace.tables / "claims.parquet"
    write_table(CLAIMS, claim_rows(verdicts, stand_ins), path)
    table = read_frame(CLAIMS, path)
    assert len(table) == len(CLIP_CLAIMS) and set(table["outcome"]) == {"wins", "no value"}
    text = claims_markdown(verdicts)
    assert "loudness 0.5" in text and "no value" in text
    assert looks_at_held_out(workspace) == 0
    archive = workspace.home / "provenance" / "records" / "ab"
    archive.mkdir(parents=True)
    for name in ("a.scores.json", "b.scores.json", "c.set_scores.json"):
        (archive / name).touch()
    assert looks_at_held_out(workspace) == 2


def test_trainings_and_clips_are_drawn_each_for_itself() -> None:
    random = np.random.default_rng(1)
    values = random.normal(0, 1, (3, 1)) + random.normal(0, 0.1, (3, 40))
    low, high = crossed_interval(values, "x", 500) or (np.nan, np.nan)
    over_clips = mean_interval(values.mean(axis=0), "x", 500) or (np.nan, np.nan)
    assert high - low > 5 * (over_clips[1] - over_clips[0]), "trainings differ more than clips do"
    assert low >= values.mean(axis=1).min() - 0.1 and high <= values.mean(axis=1).max() + 0.1
    assert crossed_interval(values[:1], "x", 500) is None and crossed_interval(values[:, :1], "x", 500) is None
    assert crossed_interval(np.full((2, 3), 0.5), "x", 50) == (0.5, 0.5)


def test_the_check_fails_for_a_claim_that_is_lost_or_open_and_names_the_lost() -> None:
    won = _claims_hold({"wins": ("the jaw follows", "the lips meet")})
    assert won.passed and won.severity is dg.AssetCheckSeverity.WARN
    lost = _claims_hold({"wins": ("the jaw follows",), "loses": ("the eyes blink", "the brows move")})
    assert not lost.passed and str(lost.description).endswith("lost: the eyes blink; the brows move")
    assert not _claims_hold({"wins": ("the jaw follows",), "open": ("the lips meet",)}).passed
    assert not _claims_hold({}).passed, "nothing was compared"


@pytest.mark.parametrize(("mine", "passed"), [(0.9, True), (0.72, False), (0.5, False)])
def test_a_table_whose_claim_is_not_won_fails_its_check_in_words(mine: float, passed: bool) -> None:
    table = scores("jaw_open_correlation", magictalk=noise(mine), kernel_ridge=noise(0.72, 5), loudness=noise(0.5))
    found = _claim_check("mouth_follows_speech", clip_verdicts(table))
    assert found.passed is passed and "kernel_ridge" in str(found.description)
    assert not _claim_check("mouth_follows_speech", []).passed
