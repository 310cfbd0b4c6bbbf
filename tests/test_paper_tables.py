"""The paper's tables: ours beside the printed numbers, empty cells with their reason, ticks from measurements alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.evaluation.paper_tables.ablations import ablations
from magictalk_core.evaluation.paper_tables.compared import SAME_SHARE, table1, table2, table4
from magictalk_core.evaluation.paper_tables.printed import PRINTED, PRINTED_TICKS
from magictalk_core.evaluation.paper_tables.read import SHEET_METADATA, layout_of, read_sheet
from magictalk_core.evaluation.paper_tables.sheet import Column, Number, Row, Sheet, measured, sheet_rows
from magictalk_core.evaluation.paper_tables.text import latex_of, markdown_of, note_mark
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import PAPER_NUMBERS

WEIGHTS = "needs `syncnet_v2.model`: type `magictalk weights list`"


def picture_row(clip: str, method: str, renderer: str, pose: str, metric: str, value: float | None) -> dict[str, Any]:
    facts = {"unit": "1", "stand_ins": "none", "weights": "judge", "crop": "face", "size": 256, "split": "held_out"}
    return {
        "clip_id": f"c/s/{clip}",
        "method": method,
        "renderer": renderer,
        "pose": pose,
        "metric": metric,
        "value": value,
        "reason": None if value is not None else WEIGHTS,
        **facts,
    }


def pictures(values: dict[str, tuple[float | None, float | None]], clips: int = 3) -> Iterator[dict[str, Any]]:
    """Rows of a recording and of `magictalk` through both renderers; metric -> (recorded, generated)."""
    for clip in map(str, range(clips)):
        for metric, (truth, made) in values.items():
            yield picture_row(clip, "ground_truth", "recorded", "ground_truth", metric, truth)
            for renderer in ("portrait", "rig"):
                for method in ("magictalk", "emodiff", "emodiff_no_style"):
                    for pose in ("generated", "ground_truth"):
                        yield picture_row(clip, method, renderer, pose, metric, made)
                yield picture_row(clip, "ground_truth_curves", renderer, "ground_truth", metric, made)


def motion(metric: str = "sync_judge_distance") -> pd.DataFrame:
    rows = [
        {"clip_id": f"c/s/{i}", "method": method, "metric": metric, "value": 0.1 * i, "unit": "1", "stand_ins": "none"}
        for i in range(9)
        for method in ("ground_truth", "magictalk", "emodiff", "emodiff_independent_windows")
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def first() -> Sheet:
    values: dict[str, tuple[float | None, float | None]] = {
        "cpbd": (0.3, 0.2),
        "lmd_px": (0.0, 1.5),
        "lse_d": (None, None),
    }
    return table1(pd.DataFrame(pictures(values)), motion())


def test_table_1_has_the_recording_both_head_poses_both_renderers_and_the_printed_rows(first: Sheet) -> None:
    titles = [(row.block, row.title) for row in first.rows]
    assert titles[:4] == [
        ("c, portrait", "Ground truth"),
        ("c, portrait", "Ground-truth curves, drawn"),
        ("c, portrait", "MagicTalk, generated head pose"),
        ("c, portrait", "MagicTalk, true head pose"),
    ]
    assert ("c, rig", "Ground-truth curves, drawn") in titles and ("c, rig", "Ground truth") not in titles
    printed = [row for row in first.rows if row.is_printed]
    assert [row.block for row in printed] == ["MEAD, printed in the paper"] * 6 + ["HDTF, printed in the paper"] * 6
    assert printed[5].numbers["lpips_alex"].value == 0.169 and printed[11].numbers["lse_c"].value == 5.263


def test_finished_videos_of_others_stand_below_ours() -> None:
    rows = [*pictures({"cpbd": (0.3, 0.2)}), picture_row("0", "sadtalker", "external", "none", "cpbd", 0.25)]
    titles = [row.title for row in table1(pd.DataFrame(rows), motion()).rows if row.block == "c, portrait"]
    assert titles[-1] == "sadtalker" and titles.count("sadtalker") == 1


def test_numbers_of_motion_are_of_the_same_clips_as_the_pictures(first: Sheet) -> None:
    number = first.rows[0].numbers["sync_judge_distance"]
    assert number.n == 3 and number.value == pytest.approx(0.1) and number.split == "held_out"


def test_an_empty_cell_leads_to_what_to_fetch(first: Sheet) -> None:
    text = markdown_of(first)
    assert re.search(r"\| Ground truth \| 0\.300 \\\[0\.300, 0\.300\\\] \|.*– \(a\)", text)
    assert "- (a) needs \\`syncnet\\_v2.model\\`" in text
    assert "CPBD: judged by judge; of face; at 256 px; test set held\\_out; n 3." in text
    latex = latex_of(first)
    assert "--$^{a}$" in latex and "$^{a}$ needs `syncnet\\_v2.model`" in latex


def test_every_number_says_how_it_was_measured(first: Sheet, tmp_path: Path) -> None:
    rows = sheet_rows(first)
    path = tmp_path / "table1" / "table1.parquet"
    write_table(PAPER_NUMBERS, rows, path, {SHEET_METADATA: layout_of(first)})
    table = pd.read_parquet(path)
    ours = table[table["source"] == "measured"]
    assert set(ours["weights"]) == {"judge", "none"} and set(ours["split"]) == {"held_out"}
    assert table.loc[table["value"].isna(), "reason"].eq(WEIGHTS).all()
    assert (table.loc[table["source"] == "printed", "n"] == 0).all()
    again = read_sheet(path.parent)
    assert (again.columns, again.notes, again.title) == (first.columns, first.notes, first.title)
    assert markdown_of(again) == markdown_of(first)


def test_what_the_paper_prints_stands_in_the_paper(shared: Path) -> None:
    text = (shared / "paper" / "magictalk.txt").read_text(encoding="utf-8")
    numbers = set(re.findall(r"\d+\.\d+|\d+", text))
    for one in PRINTED:
        value = one.value * 100 if one.metric == "emotion_fan_accuracy" else one.value
        spellings = {f"{value:g}", f"{value:.2f}", f"{value:.3f}"}
        assert spellings & numbers, one
    for name in PRINTED_TICKS:
        assert name.split(" ")[0].lower() in text.lower(), name


def ticks(emotion: tuple[float, float], blinks: tuple[float, float], person: float) -> dict[str, Number]:
    values = {"face_api_emotion_accuracy": emotion, "picture_blinks_per_minute": blinks, "same_person": (1.0, person)}
    sheet = table2(pd.DataFrame(pictures(values)))
    (row,) = [row for row in sheet.rows if row.method == "magictalk"]
    return dict(row.numbers)


def test_ticks_follow_from_what_was_measured() -> None:
    good = ticks((0.9, 0.7), (20.0, 12.0), 1.0)
    names = ("emotional_talking", "eye_blinks", "identity_preserved")
    assert [good[name].value for name in names] == [1.0, 1.0, 1.0]
    bad = ticks((0.9, 0.5), (20.0, 2.0), SAME_SHARE - 0.01)
    assert [bad[name].value for name in names] == [0.0, 0.0, 0.0]
    assert ticks((0.9, 0.7), (5.0, 20.0), 1.0)["eye_blinks"].value == 0.0, "four times as many as in the recordings"


def test_where_the_recordings_do_not_show_it_nothing_is_decided() -> None:
    found = ticks((0.2, 0.2), (0.0, 10.0), 1.0)
    assert found["emotional_talking"].value is None and "20% of the recordings" in str(
        found["emotional_talking"].reason
    )
    assert (
        found["eye_blinks"].value is None and found["eye_blinks"].reason == "no blink in the recordings to compare with"
    )


def test_table_4_holds_the_head_still_and_compares_lips() -> None:
    sheet = table4(pd.DataFrame(pictures({"lmd_px": (0.0, 1.0)})), motion())
    ours = [row for row in sheet.rows if not row.is_printed]
    assert [row.title for row in ours] == ["w/o lip refinement, true head pose", "MagicTalk, true head pose"] * 2
    assert {row.pose for row in ours} == {"ground_truth"}


def test_ablations_put_the_set_scores_and_the_lip_table_beside_the_pictures() -> None:
    sets = pd.DataFrame(
        [
            {
                "method": m,
                "metric": "style_accuracy",
                "value": v,
                "unit": "1",
                "n": 48,
                "stand_ins": "none",
                "detail": "d",
            }
            for m, v in (("ground_truth", 1.0), ("emodiff", 0.9), ("emodiff_no_style", None))
        ]
    )
    lips = pd.DataFrame(
        [{"method": "magictalk", "metric": "sync_judge_distance", "mean": 0.2, "n": 12, "stand_ins": "x=y"}]
    )
    sheet = ablations(pd.DataFrame(pictures({"fer_emotion_accuracy": (1.0, 0.5)})), motion("seam_ratio"), sets, lips)
    by_title = {(row.block.split(", ")[-1], row.method): row.numbers for row in sheet.rows}
    style = by_title["emotional style embedding", "emodiff_no_style"]["style_accuracy"]
    assert style.value is None and style.reason == "d"
    assert by_title["separated mouth channels", "magictalk"]["sync_judge_distance"].n == 12
    assert by_title["autoregressive windows", "emodiff_independent_windows"]["seam_ratio"].n == 9


def test_a_mean_has_its_interval_and_the_first_reason_where_there_is_none() -> None:
    rows = pd.DataFrame(
        picture_row(str(i), "m", "portrait", "generated", "cpbd", v) for i, v in enumerate((0.1, None, 0.3))
    )
    number = measured(rows, "m")
    assert number.value == pytest.approx(0.2) and number.n == 2 and number.low == 0.1 and number.high == 0.3
    none = measured(rows.assign(value=float("nan")), "m")
    assert none.value is None and none.reason == WEIGHTS and none.low is None
    assert measured(rows.iloc[:0], "m").reason == "not measured"


@given(st.integers(0, 2000))
def test_marks_of_notes_are_letters_and_each_its_own(number: int) -> None:
    assert re.fullmatch("[a-z]{1,3}", note_mark(number)) and note_mark(number) != note_mark(number + 1)
    assert [note_mark(i) for i in (0, 25, 26, 27, 701, 702)] == ["a", "z", "aa", "ab", "zz", "aaa"]


HOSTILE = "a|b_c \\ { } % $ # & ~ ^ <i>`x`\nnew"


def test_hostile_names_stay_text() -> None:
    number = replace(Number(0.5), split=HOSTILE)
    sheet = Sheet("t", HOSTILE, (Column("m", HOSTILE, "↑"),), (Row(HOSTILE, HOSTILE, {"m": number}),), (HOSTILE,))
    rows = [line for line in markdown_of(sheet).splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in rows) and "<i>" not in markdown_of(sheet)
    latex = latex_of(sheet)
    assert r"a|b\_c \textbackslash{} \{ \} \% \$ \# \& \textasciitilde{} \textasciicircum{} <i>`x`" in latex
    assert latex.count("\\begin{tabular}") == latex.count("\\end{tabular}") == 1
