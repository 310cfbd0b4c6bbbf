"""The ablations of section 4.3 that are no table in the paper: style embedding, mouth separation, autoregression."""

from __future__ import annotations

import pandas as pd

from magictalk_core.evaluation.generate import EMODIFF, INDEPENDENT_WINDOWS
from magictalk_core.evaluation.lip_ablation import ALL_CHANNELS
from magictalk_core.evaluation.paper_tables.printed import printed_in
from magictalk_core.evaluation.paper_tables.rows import OWN_SYNC, TITLES, Who, blocks_of, own_rows
from magictalk_core.evaluation.paper_tables.sheet import Column, Number, Row, Sheet, measured, printed_rows
from magictalk_core.evaluation.pictures.render import Pose, Renderer
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.evaluation.set_scores import NO_STYLE
from magictalk_core.evaluation.table import GROUND_TRUTH

__all__ = ["ablations"]

_EMOTION = (
    Column("style_accuracy", "emotion in motion", "↑"),
    Column("face_api_emotion_accuracy", "emotion in pictures, face-api", "↑"),
    Column("fer_emotion_accuracy", "emotion in pictures, fer", "↑"),
    Column("emotion_fan_accuracy", "Emotion-FAN, own training; printed: the paper's", "↑"),
)
_LSE_C = Column("lse_c", "LSE-C", "↑")
_SEAMS = (Column("seam_ratio", "seam ratio (1: none)", "", 2), Column("long_seam_ratio", "seams in a minute", "", 2))
_COLUMNS = (*_EMOTION, _LSE_C, *OWN_SYNC, *_SEAMS)


def ablations(pictures: pd.DataFrame, motion: pd.DataFrame, sets: pd.DataFrame, lips: pd.DataFrame) -> Sheet:
    """`pictures`: PICTURE_SCORES, `motion`: SCORES, `sets`: SET_SCORES rows, `lips`: `lip_ablation.csv`."""
    rows = [*_style(pictures, sets), *_separation(pictures, motion, lips), *_autoregression(motion, sets)]
    notes = (
        "Style embedding: both without lip refinement, which the network without style never had.",
        "Emotion in motion and seams in a minute are of the whole held-out set (`set_scores`); emotion in pictures of "
        "the clips that were drawn, through the portrait.",
        "The portrait is the frame of the clip that is nearest to rest, and shows its emotion already: what a judge "
        "reads from pictures without style embedding was in that frame. Emotion in motion has no such help.",
    )
    return Sheet(
        "ablations", "Ablations of section 4.3", _COLUMNS, (*rows, *printed_rows(printed_in("ablations"))), notes
    )


def _style(pictures: pd.DataFrame, sets: pd.DataFrame) -> list[Row]:
    rows: list[Row] = []
    for corpus, own in blocks_of(pictures):
        who = [Who(GROUND_TRUTH, Renderer.RECORDED, Pose.TRUTH)]
        who += [Who(method, Renderer.PORTRAIT, Pose.GENERATED) for method in (MAGICTALK, EMODIFF, NO_STYLE)]
        there = [one for one in who if len(one.of(own))]
        for row in own_rows(f"{corpus}, emotional style embedding", there, _EMOTION, own):
            found = {name: number for name in ("style_accuracy",) if (number := _of_set(sets, row.method, name))}
            rows.append(Row(row.block, _plain(row), {**row.numbers, **found}, row.method, row.renderer, row.pose))
    return rows


def _plain(row: Row) -> str:
    return TITLES.get(row.method, row.method)


def _of_set(sets: pd.DataFrame, method: str, metric: str) -> Number | None:
    """A number of a whole test set; None where the table has no such row."""
    rows = sets[(sets["method"] == method) & (sets["metric"] == metric)]
    if not len(rows):
        return None
    row = rows.iloc[0]
    value = None if pd.isna(row["value"]) else float(row["value"])
    reason = None if value is not None else str(row["detail"])
    return Number(
        value, str(row["unit"]), n=int(row["n"]), reason=reason, stand_ins=str(row["stand_ins"]), split="held_out"
    )


def _separation(pictures: pd.DataFrame, motion: pd.DataFrame, lips: pd.DataFrame) -> list[Row]:
    rows: list[Row] = []
    for corpus, own in blocks_of(pictures):
        who = [Who(method, Renderer.PORTRAIT, Pose.TRUTH) for method in (MAGICTALK, ALL_CHANNELS)]
        there = [one for one in who if len(one.of(own))]
        for row in own_rows(f"{corpus}, separated mouth channels", there, (_LSE_C, *OWN_SYNC), own, motion):
            found = {c.metric: number for c in OWN_SYNC if (number := _of_lips(lips, row.method, c.metric))}
            rows.append(Row(row.block, _plain(row), {**row.numbers, **found}, row.method, row.renderer, row.pose))
    return rows


def _of_lips(lips: pd.DataFrame, method: str, metric: str) -> Number | None:
    """A mean of the table of lip refinement, which is over all held-out clips."""
    rows = lips[(lips["method"] == method) & (lips["metric"] == metric)]
    if not len(rows) or pd.isna(rows.iloc[0]["mean"]):
        return None
    row = rows.iloc[0]
    return Number(float(row["mean"]), n=int(row["n"]), stand_ins=str(row["stand_ins"]), split="held_out")


def _autoregression(motion: pd.DataFrame, sets: pd.DataFrame) -> list[Row]:
    rows = []
    for method in (GROUND_TRUTH, EMODIFF, INDEPENDENT_WINDOWS):
        own = motion[(motion["method"] == method) & (motion["metric"] == "seam_ratio")]
        numbers = {"seam_ratio": measured(own, f"{method}/seam_ratio")} if len(own) else {}
        long = _of_set(sets, method, "long_seam_ratio")
        if long is not None:
            numbers["long_seam_ratio"] = long
        if numbers:
            title = {EMODIFF: "EmoDiff, autoregressive", INDEPENDENT_WINDOWS: "EmoDiff, independent windows"}
            rows.append(Row("all corpora, autoregressive windows", title.get(method, TITLES[method]), numbers, method))
    return rows
