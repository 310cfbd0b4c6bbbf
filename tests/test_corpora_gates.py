"""From stored scores to decisions, and from rows to finished tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.config import QualityConfig
from magictalk_core.preparation.clips_table import complete_clips
from magictalk_core.preparation.duplicates import find_duplicates, find_leaks
from magictalk_core.preparation.gates import GATES, decide
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLIPS, MEASURED, MEDIA
from magictalk_core.training_set.copies import excluded_copies

GOOD: dict[str, Any] = {
    "duration_s": 3.0,
    "loudest_dbfs": -20.0,
    "audio_excess_s": 0.02,
    "face_share": 1.0,
    "second_face_share": 0.0,
    "face_px": 120.0,
    "sharpness": 100.0,
    "yaw_deg": 5.0,
    "roll_deg": 3.0,
    "cut_score": 1.2,
    "fade_score": 0.03,
    "other_speaker_share": 0.0,
    "mesh_share": 1.0,
    "lips_contrast": 22.0,
    "outside_share": 0.0,
    "covered_share": 0.0,
    "cut_off_share": 0.0,
    "frozen_share": 0.0,
}


@pytest.mark.parametrize(
    ("score", "value", "reason"),
    [
        ("duration_s", 0.5, "too_short"),
        ("duration_s", 700.0, "too_long"),
        ("loudest_dbfs", -61.0, "silent"),
        ("loudest_dbfs", -math.inf, "silent"),
        ("audio_excess_s", 5.0, "length_mismatch"),
        ("audio_excess_s", -5.0, "length_mismatch"),
        ("face_share", 0.5, "no_face"),
        ("second_face_share", 0.5, "several_faces"),
        ("face_px", 20.0, "face_too_small"),
        ("sharpness", 0.1, "blurred"),
        ("yaw_deg", 80.0, "extreme_pose"),
        ("roll_deg", 82.0, "extreme_pose"),
        ("cut_score", 16.0, "scene_cut"),
        ("fade_score", 0.4, "scene_cut"),
        ("other_speaker_share", 0.3, "several_speakers"),
        ("mesh_share", 0.2, "occluded"),
        ("lips_contrast", 0.0, "occluded"),
        ("outside_share", 0.3, "truncated_face"),
        ("covered_share", 0.4, "occluded"),
        ("cut_off_share", 0.4, "truncated_face"),
        ("frozen_share", 0.9, "frozen"),
    ],
)
def test_every_gate_rejects_its_fault(score: str, value: float, reason: str) -> None:
    assert decide(GOOD, QualityConfig()) is None
    found = decide(GOOD | {score: value}, QualityConfig())
    assert found is not None and found[0] == reason
    assert "expected" in found[1] or "at most" in found[1]


def test_every_gate_is_tried_above() -> None:
    assert {gate.score for gate in GATES} == set(GOOD)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.floats(allow_nan=True), max_size=18))
def test_a_gate_never_stumbles_and_unknown_scores_pass(scores: dict[str, float]) -> None:
    decide(GOOD | scores, QualityConfig())
    assert decide(dict.fromkeys(GOOD), QualityConfig()) is None
    assert decide(dict.fromkeys(GOOD, math.nan), QualityConfig()) is None


def clip(name: str, **values: Any) -> dict[str, Any]:
    row = dict.fromkeys(CLIPS.names) | {
        "clip_id": f"c/s/{name}", "corpus": "c", "shard": "b0", "speaker": name, "source": name, "licence": "x",
        "raw_path": f"{name}.mp4", "raw_md5": name, "split": "train", "status": "ok",
    }  # fmt: skip
    return row | values


def media(name: str, **values: Any) -> dict[str, Any]:
    return dict.fromkeys(MEDIA.names) | {"clip_id": f"c/s/{name}", "status": "ok"} | GOOD | values


def finish(folder: Path, clips: list[dict[str, Any]], found: list[dict[str, Any]], quality: QualityConfig) -> Any:
    write_table(CLIPS, clips, folder / "index.parquet")
    write_table(MEDIA, found, folder / "media.parquet")
    complete_clips(folder / "index.parquet", [folder / "media.parquet"], quality, folder / "clips.parquet")
    return read_frame(CLIPS, folder / "clips.parquet").set_index("clip_id")


def test_decisions_follow_the_thresholds_without_decoding(tmp_path: Path) -> None:
    clips = [clip("a"), clip("b"), clip("c"), clip("d", status="rejected", reason="missing", raw_path=None)]
    found = [
        media("a", detail="interlaced: made progressive"),
        media("b", face_share=0.6, detail="sound track 2 of 2 taken"),
        media("c", status="rejected", reason="truncated", detail="short", face_share=None),
    ]
    strict = finish(tmp_path, clips, found, QualityConfig())
    assert list(strict["reason"].fillna("")) == ["", "no_face", "truncated", "missing"]
    # What is unusual about an accepted clip is kept; of a rejected one the reason counts.
    assert strict.loc["c/s/a", "detail"] == "interlaced: made progressive"
    assert strict.loc["c/s/b", "detail"].startswith("a face in 60%")
    assert all(strict.loc["c/s/a", name] == value for name, value in GOOD.items())
    before = (tmp_path / "media.parquet").read_bytes()
    loose = finish(tmp_path, clips, found, QualityConfig(min_face_share=0.5))
    assert list(loose["reason"].fillna("")) == ["", "", "truncated", "missing"]
    assert (tmp_path / "media.parquet").read_bytes() == before and set(MEASURED) <= set(loose.columns)


SOUND, OTHER, PICTURE = "0f" * 32, "c3" * 32, "55" * 32


def test_a_copy_is_rejected_and_the_held_out_clip_is_kept() -> None:
    near = "0e" + SOUND[2:]
    rows = [
        clip("a", signature=f"{near}:{PICTURE}", duration_s=3.04),
        clip("b", signature=f"{SOUND}:{PICTURE}", duration_s=3.0, split="test"),
        clip("c", signature=f"{OTHER}:{PICTURE}", duration_s=3.0),
        clip("d", signature=f"{SOUND}:{PICTURE}", duration_s=9.0),
        clip("e", signature=None, duration_s=3.0),
    ]
    ((copy, original),) = find_duplicates(rows, QualityConfig())
    assert (copy["clip_id"], original["clip_id"]) == ("c/s/a", "c/s/b")
    assert find_leaks(rows, QualityConfig()).copies == {"c/s/a": "c/s/b"}
    here = frozenset({"c"})
    leaks = excluded_copies(rows, here, QualityConfig())
    assert {clip: one.reason for clip, one in leaks.items()} == {"c/s/a": "leaking_copy"}
    twice = excluded_copies([row | {"split": "train"} for row in rows], here, QualityConfig())
    assert [one.reason for one in twice.values()] == ["copy"]
    views = [rows[0] | {"view": "front"}, rows[1] | {"view": "left_30"}]
    assert find_duplicates(views, QualityConfig()) == [], "two cameras on one performance share their sound"


def test_duplicates_are_found_in_the_finished_table(tmp_path: Path) -> None:
    signature = f"{SOUND}:{PICTURE}"
    table = finish(
        tmp_path,
        [clip("a"), clip("b"), clip("c")],
        [media("a", signature=signature), media("b", signature=signature), media("c")],
        QualityConfig(),
    )
    assert list(table["reason"].fillna("")) == ["", "duplicate", ""]
    assert table.loc["c/s/b", "detail"] == "same recording as c/s/a"
