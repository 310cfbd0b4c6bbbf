"""Before the trainings a run says what is not held out, and leaves out what needs it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from assets.evaluation import NEED_TEST_CLIPS, build_evaluation_assets
from assets.paper import PAPER_KEYS, build_paper_assets
from magictalk_core.errors import PermanentError
from magictalk_core.preparation.listing import emotions_to_learn
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS
from magictalk_core.vocabulary.clips import Split
from magictalk_core.workspace import Workspace
from pipelines.held_out import without_what_needs_labels, without_what_needs_test_clips
from tests.test_corpora_gates import clip

EVERYTHING = {"training_set", "models/emodiff", "rig", "report", *NEED_TEST_CLIPS, *PAPER_KEYS}
ALL_SPLITS = {Split.TRAIN: 5, Split.VAL: 1, Split.TEST: 1}


def left(accepted: dict[Split, int] | None, selection: str | None = None, wanted: set[str] = EVERYTHING) -> set[str]:
    keys = {dg.AssetKey(name.split("/")) for name in wanted}
    return {key.to_user_string() for key in without_what_needs_test_clips(keys, selection, accepted)}


def test_the_assets_that_need_test_clips_are_assets() -> None:
    known = {asset.key.to_user_string() for asset in build_evaluation_assets(["c"])}
    assert known - NEED_TEST_CLIPS == {"rig", "report"} and known >= NEED_TEST_CLIPS
    assert {asset.key.to_user_string() for asset in build_paper_assets(["c"])} == PAPER_KEYS


def test_nothing_is_said_where_clips_are_held_out_or_nobody_knows(caplog: pytest.LogCaptureFixture) -> None:
    assert left(ALL_SPLITS) == EVERYTHING and left(None) == EVERYTHING
    only_data = {"sample/clips", "training_set"}
    assert left(ALL_SPLITS | {Split.TEST: 0, Split.VAL: 0}, wanted=only_data) == only_data
    assert not caplog.records


@pytest.mark.parametrize("selection", [None, "+report", "models/emodiff+"])
def test_without_a_test_clip_models_and_report_are_made_and_it_is_said(
    caplog: pytest.LogCaptureFixture, selection: str | None
) -> None:
    found = left(ALL_SPLITS | {Split.TEST: 0, Split.VAL: 0}, selection)
    assert found == {"training_set", "models/emodiff", "rig", "report"}
    val, test = (record.getMessage() for record in caplog.records)
    assert "no accepted clip in the val split" in val and "no accepted clip in the test split" in test
    assert "generated" in test and "--split clip" in test


def test_what_is_asked_for_by_name_is_refused_before_any_training() -> None:
    with pytest.raises(PermanentError, match="generated: no accepted clip in the test split"):
        left(ALL_SPLITS | {Split.TEST: 0}, "+generated")


@pytest.mark.parametrize(
    ("emotions", "said"), [(frozenset(), "no label"), (frozenset({"sad"}), "one emotion alone, sad")]
)
def test_without_two_emotions_no_judge_of_emotions_is_trained_and_it_is_said(
    caplog: pytest.LogCaptureFixture, emotions: frozenset[str], said: str
) -> None:
    judge, rest = dg.AssetKey(["models", "emotion_fan"]), {dg.AssetKey("picture_scores"), dg.AssetKey("paper")}
    assert without_what_needs_labels(rest | {judge}, "+paper", lambda: emotions) == rest
    assert said in caplog.text and "--labels" in caplog.text
    assert without_what_needs_labels(rest | {judge}, "models/emotion_fan", lambda: emotions) == rest | {judge}
    for known in (frozenset({"sad", "happy"}), None):
        assert without_what_needs_labels(rest | {judge}, None, lambda known=known: known) == rest | {judge}


def test_emotions_are_those_of_accepted_training_clips(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert emotions_to_learn(workspace, ["c"]) is None
    rows = [
        clip("a", split="train", emotion="happy"),
        clip("b", split="train", emotion=None),
        clip("d", split="train", emotion="bored"),
        clip("e", split="train", emotion="sad", status="rejected", reason="no_face"),
        clip("f", split="test", emotion="angry"),
    ]
    write_table(CLIPS, rows, workspace.clips_table("c"))
    assert emotions_to_learn(workspace, ["c", "later"]) == {"happy"}
