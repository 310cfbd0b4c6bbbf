"""Metrics against independent formulas, and the laws they must keep."""

from __future__ import annotations

import ast
import re
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import pearsonr
from skimage.transform import SimilarityTransform

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.baselines import constant_motion
from magictalk_core.evaluation.sync_scores import JUDGE_METRICS, SYNC_METRICS
from magictalk_core.evaluation.table import GROUND_TRUTH, Spoken, score_clip, score_ground_truth, summary
from magictalk_core.metrics import landmarks
from magictalk_core.metrics.blinks import find_blinks
from magictalk_core.metrics.catalogue import CATALOGUE, METRICS, PICTURE_CATALOGUE, SET_CATALOGUE
from magictalk_core.metrics.closures import Phoneme
from magictalk_core.metrics.coefficients import (
    ERROR_GROUPS,
    channel_correlation,
    group_error,
    mean_correlation,
    velocity_error,
)
from magictalk_core.metrics.intervals import mean_interval
from magictalk_core.metrics.landmarks import FACE_POINTS, landmark_distances
from magictalk_core.metrics.mouth_rest import mouth_rest, settled_frames
from magictalk_core.metrics.seams import first_step_ratio, joint_frames, pooled_seam_ratio, seam_ratio
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.render import CAMERA_DISTANCE_CM, CENTRE_Y_CM, FRAME_HEIGHT_CM
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import SCORES
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, GROUPS, MOTION_NAMES

JAW = MOTION_NAMES.index("jawOpen")
README = Path(landmarks.__file__).with_name("README.md")


class FlatRig:
    """A flat oval of 468 points before the camera; coefficients move every point, the pose rolls and shifts them.

    Flat, so that a roll is a turn of the picture and a shift a shift of it.
    """

    def __init__(self) -> None:
        generator = np.random.default_rng(5)
        angle = np.linspace(0, 2 * np.pi, FACE_POINTS, endpoint=False)
        self.neutral = np.stack([7 * np.cos(angle), 10 * np.sin(angle), 0 * angle + 2], axis=1).astype(np.float32)
        self.deltas = generator.normal(0, 0.2, (52, FACE_POINTS, 3)) * (1, 1, 0)

    def poses(self, motion: NDArray[np.float32], points: int) -> NDArray[np.float32]:
        return np.stack([self.pose(row)[:points] for row in motion])

    def pose(self, motion: NDArray[np.float32]) -> NDArray[np.float32]:
        shaped = self.neutral + np.tensordot(motion[:52], self.deltas, axes=1)
        roll = np.radians(motion[54])
        turned = shaped @ np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]).T
        return (turned + motion[55:58] * (1, 1, 0)).astype(np.float32)


def motion(seed: int, frames: int = 40) -> NDArray[np.float64]:
    generator = np.random.default_rng(seed)
    values = generator.uniform(0, 1, (frames, len(MOTION_NAMES)))
    values[:, 52:] = generator.normal(0, 3, (frames, 6))
    return values


def test_group_error_is_the_mean_absolute_difference() -> None:
    truth, made = motion(1), motion(2)
    errors = group_error(truth, made)
    assert set(errors) == {*GROUPS, "head_rotation", "head_translation"} - {"pose"}
    for group, names in ERROR_GROUPS.items():
        expected = sum(
            abs(truth[f, MOTION_NAMES.index(n)] - made[f, MOTION_NAMES.index(n)]) for f in range(40) for n in names
        )
        assert errors[group].value == pytest.approx(expected / (40 * len(names)))
        assert errors[group].channels == names


def test_velocity_error_compares_first_differences() -> None:
    truth, made = motion(1), motion(2)
    brows = [MOTION_NAMES.index(n) for n in GROUPS["brows"]]
    expected = [
        abs((truth[f, c] - truth[f - 1, c]) - (made[f, c] - made[f - 1, c])) for f in range(1, 40) for c in brows
    ]
    assert velocity_error(truth, made)["brows"].value == pytest.approx(np.mean(expected))
    assert velocity_error(truth, truth + 0.1)["mouth"].value == pytest.approx(0, abs=1e-12)


def test_a_channel_the_tracker_cannot_see_is_left_out_and_named() -> None:
    truth, made = motion(1), motion(2)
    truth[:, MOTION_NAMES.index("cheekPuff")] = np.nan
    found = group_error(truth, made)["cheeks_nose"]
    assert found.channels == tuple(n for n in GROUPS["cheeks_nose"] if n != "cheekPuff")
    truth[:, [MOTION_NAMES.index(n) for n in GROUPS["brows"]]] = np.nan
    assert group_error(truth, made)["brows"].value is None
    assert velocity_error(truth, made)["brows"].channels == ()


def test_frames_without_a_face_do_not_count() -> None:
    truth, made = motion(1), motion(2)
    holes = truth.copy()
    holes[10:20] = np.nan
    keep = np.r_[0:10, 20:40]
    expected = group_error(truth[keep], made[keep])["mouth"].value
    assert group_error(holes, made)["mouth"].value == pytest.approx(expected)


def test_correlation_is_pearsons() -> None:
    truth, made = motion(1), motion(2)
    expected = pearsonr(truth[:, JAW], made[:, JAW]).statistic
    assert channel_correlation(truth, made, "jawOpen") == pytest.approx(expected)
    mouth = [MOTION_NAMES.index(n) for n in GROUPS["mouth"]]
    each = [pearsonr(truth[:, c], made[:, c]).statistic for c in mouth]
    assert mean_correlation(truth, made).value == pytest.approx(np.mean(each))


def test_correlation_with_a_mouth_that_does_not_move_does_not_exist() -> None:
    truth = motion(1)
    still = constant_motion(truth.mean(axis=0), len(truth))
    assert channel_correlation(truth, still, "jawOpen") is None
    assert mean_correlation(truth, still).value is None


@given(gain=st.floats(0.05, 5), offset=st.floats(-1, 1))
@settings(max_examples=25, deadline=None)
def test_correlation_ignores_gain_and_offset(gain: float, offset: float) -> None:
    truth, made = motion(1), motion(2)
    value = channel_correlation(truth, made, "jawOpen")
    assert channel_correlation(truth, made * gain + offset, "jawOpen") == pytest.approx(value, abs=1e-9)


def test_motions_of_different_length_are_refused() -> None:
    with pytest.raises(PermanentError, match=r"40 frames.*39"):
        group_error(motion(1), motion(2)[:39])
    with pytest.raises(PermanentError, match="shape"):
        find_blinks(np.zeros((10, 52)))


def seen_from_the_front(vertices: NDArray[np.float32]) -> NDArray[np.float64]:
    """The pinhole formula: (v, 3) cm to (v, 2) px at 256."""
    x, y, z = vertices.astype(np.float64).T
    per_cm = 256 / FRAME_HEIGHT_CM * CAMERA_DISTANCE_CM / (CAMERA_DISTANCE_CM - z)
    return np.stack([128 + x * per_cm, 128 - (y - CENTRE_Y_CM) * per_cm], axis=1)


def test_landmark_distance_is_the_mean_distance_of_centred_points() -> None:
    rig, truth, made = FlatRig(), motion(1, 6), motion(2, 6)
    distances, mouth_distances, aligned = [], [], []
    for a, b in zip(truth, made, strict=True):
        first, second = (seen_from_the_front(rig.pose(row.astype(np.float32))) for row in (a, b))
        distances += list(np.hypot(*((first - first.mean(0)) - (second - second.mean(0))).T))
        ahead = [np.where(np.arange(58) < 52, row, 0).astype(np.float32) for row in (a, b)]
        first_ahead, second_ahead = (seen_from_the_front(rig.pose(row)) for row in ahead)
        lips = sorted({*landmarks.LIPS_INNER, *landmarks.LIPS_OUTER})
        mouth = first_ahead[lips] - first_ahead[lips].mean(0) - second_ahead[lips] + second_ahead[lips].mean(0)
        mouth_distances += list(np.hypot(*mouth.T))
        fit = SimilarityTransform.from_estimate(second, first)
        eyes = np.hypot(*(first[33] - first[263]))
        aligned.append(np.hypot(*(first - fit(second)).T).mean() / eyes * 100)
    found = landmark_distances(truth, made, rig)
    assert found["lmd_rig_px256"] == pytest.approx(np.mean(distances), rel=1e-5)
    assert found["lmd_rig_mouth_px256"] == pytest.approx(np.mean(mouth_distances), rel=1e-5)
    assert found["lmd_rig_iod_percent"] == pytest.approx(np.mean(aligned), rel=1e-5)


def test_landmark_distance_laws() -> None:
    rig, truth, made = FlatRig(), motion(1, 6), motion(2, 6)
    assert list(landmark_distances(truth, truth, rig).values()) == pytest.approx([0] * 4, abs=1e-4)
    shifted = truth.copy()
    shifted[:, 55:57] += 4
    assert landmark_distances(truth, shifted, rig)["lmd_rig_px256"] == pytest.approx(0, abs=1e-3)
    rolled = truth.copy()
    rolled[:, 54] += 20
    found = landmark_distances(truth, rolled, rig)
    assert found["lmd_rig_px256"] > 10
    assert found["lmd_rig_iod_percent"] == pytest.approx(0, abs=1e-3)
    assert found["lmd_rig_truth_pose_px256"] == pytest.approx(0, abs=1e-3)
    assert found["lmd_rig_mouth_px256"] == 0
    blind = truth.copy()
    blind[:, 3] = np.nan
    other = made.copy()
    other[:, 3] = 0.9
    made[:, 3] = 0.1
    assert landmark_distances(blind, made, rig) == landmark_distances(blind, other, rig)
    assert set(landmark_distances(truth * np.nan, made, rig).values()) == {None}


def test_an_open_jaw_shows_most_at_the_mouth_of_the_built_in_rig() -> None:
    closed = np.zeros((5, len(MOTION_NAMES)))
    opened = closed.copy()
    opened[:, JAW] = 0.6
    found = landmark_distances(closed, opened, builtin_rig())
    assert 2 < found["lmd_rig_px256"] < found["lmd_rig_mouth_px256"] < 40
    moved = closed.copy()
    moved[:, 55:58] = 3
    assert landmark_distances(closed, moved, builtin_rig())["lmd_rig_px256"] == 0


def test_a_mouth_that_speaks_right_on_a_head_that_turns_is_nearer_than_a_frozen_face() -> None:
    """The golden value of the mouth: seen with the pose, the turned head lost to a face that never moved."""
    truth = np.zeros((8, len(MOTION_NAMES)))
    truth[:, JAW] = np.linspace(0, 0.3, 8)
    turned, frozen = truth.copy(), np.zeros_like(truth)
    turned[:, 52:55] = (12, 25, 8)
    found = landmark_distances(truth, turned, builtin_rig())
    assert found["lmd_rig_mouth_px256"] == 0 and found["lmd_rig_px256"] > 5
    assert landmark_distances(truth, frozen, builtin_rig())["lmd_rig_mouth_px256"] == pytest.approx(1.3762, abs=0.002)


def ramp(frames: int) -> NDArray[np.float64]:
    values = np.zeros((frames, len(MOTION_NAMES)))
    values[:, JAW] = np.arange(frames) * 0.01
    return values


def test_seams_of_steady_motion_are_one() -> None:
    assert seam_ratio(ramp(100), 32) == pytest.approx(1)
    assert list(joint_frames(100, 32)) == [31, 62, 93]
    assert list(joint_frames(94, 32)) == [31, 62]


@pytest.mark.parametrize("kept", [0, 1])
def test_a_jump_on_either_side_of_a_shared_frame_is_seen(kept: int) -> None:
    jumping = ramp(100)
    for joint in (31, 62, 93):
        jumping[joint + kept :, JAW] += 0.09
    # One of the two differences at each joint is 0.10 instead of 0.01.
    assert seam_ratio(jumping, 32) == pytest.approx((0.10 + 0.01) / 2 / 0.01)


def test_seams_do_not_exist_in_short_or_still_clips() -> None:
    assert seam_ratio(ramp(32), 32) is None
    assert seam_ratio(ramp(100) * 0, 32) is None
    with pytest.raises(PermanentError, match="at least 3"):
        seam_ratio(ramp(100), 2)


def test_the_joints_of_the_head_are_counted_apart() -> None:
    nodding = ramp(100)
    pitch = MOTION_NAMES.index("head_pitch_deg")
    nodding[:, pitch] = np.arange(100)
    nodding[31:, pitch] += 9
    assert pooled_seam_ratio([nodding], 32) == pytest.approx(1)
    assert pooled_seam_ratio([nodding[:60]], 32, ["head_pitch_deg"]) == pytest.approx((10 + 1) / 2)


def test_a_pop_at_the_beginning_is_seen() -> None:
    popping = ramp(100)
    popping[1:, JAW] += 0.04
    assert first_step_ratio([ramp(100)]) == pytest.approx(1)
    assert first_step_ratio([popping, popping, ramp(100)]) == pytest.approx(0.05 / 0.01)
    assert first_step_ratio([ramp(100) * 0]) is None and first_step_ratio([ramp(5)]) is None


def test_a_mouth_at_rest_is_looked_at_where_it_had_time() -> None:
    speaks = np.zeros(60, bool)
    speaks[20:30] = True
    settled = settled_frames(speaks)
    assert settled.sum() == 60 - 10 - 2 * 8 and settled[[0, 11, 38, 59]].all() and not settled[[12, 37]].any()
    moving = ramp(60) * 0
    moving[12:38, JAW] = 0.5
    moving[59, JAW] = 0.34
    rest = mouth_rest(moving, speaks)
    assert rest is not None and rest.frames == 34 and rest.largest == pytest.approx(0.34)
    assert rest.mean == pytest.approx(0.01) and rest.closed_share == pytest.approx(33 / 34)
    assert mouth_rest(moving, np.ones(60, bool)) is None


def test_seams_survive_a_frame_without_a_face() -> None:
    holes = ramp(100)
    holes[[10, 62]] = np.nan
    assert seam_ratio(holes, 32) == pytest.approx(1)


def test_scores_fill_the_contract(tmp_path: Path) -> None:
    rig, truth = FlatRig(), motion(1, 70)
    truth[:, MOTION_NAMES.index("tongueOut")] = np.nan
    spoken = Spoken(np.ones(70, bool), [Phoneme("b", 0.2, 0.3), Phoneme("a", 0.4, 0.9), Phoneme("f", 1.2, 1.3)])
    rows = score_ground_truth("c/s/1", truth, 32, rig, spoken)
    rows += score_clip("c/s/1", "emodiff", truth, motion(2, 70), rig, 32, spoken)
    rows += score_clip("c/s/1", "mean_motion", truth, constant_motion(truth.mean(axis=0), 70), rig, 32, spoken)
    write_table(SCORES, [{**row, "stand_ins": "none"} for row in rows], tmp_path / "scores.parquet")
    table = read_frame(SCORES, tmp_path / "scores.parquet")
    assert set(table["metric"]) <= set(METRICS)
    # Rows of the true curve and of the sync experts are made where these are known.
    assert set(METRICS) - set(table["metric"]) == {"jaw_open_correlation_true_curve", *SYNC_METRICS, *JUDGE_METRICS}
    assert all(row["unit"] == METRICS[row["metric"]].unit for row in rows)
    with pytest.raises(PermanentError, match=GROUND_TRUTH):
        score_clip("c/s/1", GROUND_TRUTH, truth, truth, rig, 32, spoken)


def test_a_perfect_copy_scores_perfectly() -> None:
    truth, silent = motion(1, 70), Spoken(np.ones(70, bool), None)
    rows = {r["metric"]: r["value"] for r in score_clip("c/s/1", "copy", truth, truth, FlatRig(), 32, silent)}
    assert all(rows[m] == pytest.approx(0, abs=1e-4) for m in rows if "mae" in m or "lmd" in m or "error" in m)
    assert rows["jaw_open_correlation"] == rows["mouth_correlation"] == pytest.approx(1)
    assert all(rows[m] == pytest.approx(1) for m in rows if m.startswith("amplitude")) and "bilabial_auc" not in rows


def scores(values: list[float | None], metric: str = "mae_mouth") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "clip_id": [f"c/s/{i:03d}" for i in range(len(values))],
            "method": "emodiff",
            "metric": metric,
            "value": pd.array(values, dtype="Float64").to_numpy(float, na_value=np.nan),
            "unit": "1",
            "stand_ins": "none",
        }
    )


def test_summary_gives_mean_interval_and_n() -> None:
    drawn = np.random.default_rng(0).normal(2, 0.5, 400)
    row = summary(scores(list(drawn))).iloc[0]
    assert row["mean"] == pytest.approx(drawn.mean())
    half = 1.96 * drawn.std() / np.sqrt(400)
    assert row["low"] == pytest.approx(drawn.mean() - half, abs=0.15 * half)
    assert row["high"] == pytest.approx(drawn.mean() + half, abs=0.15 * half)


def test_an_interval_is_the_percentile_bootstrap_and_its_own_rows_alone() -> None:
    values = np.random.default_rng(0).exponential(size=30)
    draws = np.random.default_rng([0, zlib.crc32(b"emodiff/mae_mouth")]).integers(0, 30, size=(500, 30))
    expected = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    assert mean_interval(values, "emodiff/mae_mouth", 500) == pytest.approx(tuple(expected), abs=1e-12)
    assert mean_interval(values, "emodiff/mae_eyes", 500) != mean_interval(values, "emodiff/mae_mouth", 500)
    assert mean_interval(np.full(4, 0.25), "x", 500) == (0.25, 0.25) and mean_interval(values[:1], "x", 500) is None


def test_summary_counts_missing_values_and_does_not_invent_intervals() -> None:
    row = summary(scores([1.0, None, None])).iloc[0]
    assert (row["clips"], row["n"], row["mean"]) == (3, 1, 1.0)
    assert np.isnan(row["low"]) and np.isnan(row["high"])
    assert np.isnan(summary(scores([None])).iloc[0]["mean"])


def test_summary_depends_neither_on_row_order_nor_on_other_metrics() -> None:
    table = scores([0.1, 0.5, 0.2, 0.9])
    alone = summary(table)
    shuffled = pd.concat([scores([3.0, 1.0], "mae_eyes"), table.iloc[::-1]])
    beside = summary(shuffled)
    pd.testing.assert_frame_equal(beside[beside["metric"] == "mae_mouth"].reset_index(drop=True), alone)


def test_readme_lists_the_catalogue() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", README.read_text(), flags=re.MULTILINE)
    expected = [
        (s.name, s.unit, s.better.value.replace("_", " "), s.meaning, s.source)
        for s in (*CATALOGUE, *SET_CATALOGUE, *PICTURE_CATALOGUE)
    ]
    assert rows == expected
    assert len(METRICS) == len(CATALOGUE)
    assert len({name for name, *_ in rows}) == len(rows)


def test_metrics_are_pure_functions_of_arrays() -> None:
    """No workspace, table or model: only the emotion classifier, which is fitted, is written to a file and read, and
    only the complexity counter, which watches networks run, knows torch."""
    allowed = ("errors", "vocabulary.", "metrics.", "faces.mesh", "rig.render")
    found = set()
    for path in README.parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            own = [name.removeprefix("magictalk_core.") for name in names if name.startswith("magictalk_core.")]
            found |= {(path.stem, name) for name in own if not name.startswith(allowed)}
            found |= {(path.stem, name) for name in names if name.split(".")[0] in ("pathlib", "os", "torch", "io")}
    assert found == {("emotion", "pathlib"), ("emotion", "storage.atomic"), ("complexity", "torch")}


def test_every_coefficient_is_in_a_group_except_the_tongue() -> None:
    grouped = {name for names in ERROR_GROUPS.values() for name in names}
    assert set(ARKIT_NAMES) - grouped == {"tongueOut"}
