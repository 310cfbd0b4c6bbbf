"""Tables 1, 2 and 4 of the paper: methods beside each other, and beside the paper's own numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from magictalk_core.evaluation.generate import EMODIFF
from magictalk_core.evaluation.paper_tables.printed import PRINTED_TICKS, PROPERTIES, printed_in
from magictalk_core.evaluation.paper_tables.rows import (
    ABLATIONS,
    OWN_SYNC,
    Who,
    blocks_of,
    external_systems,
    own_rows,
    who_of,
)
from magictalk_core.evaluation.paper_tables.sheet import (
    PRINTED_SOURCE,
    Column,
    Number,
    Row,
    Sheet,
    measured,
    printed_rows,
)
from magictalk_core.evaluation.pictures.render import Pose, Renderer
from magictalk_core.evaluation.pictures.stand_ins import RERENDERED
from magictalk_core.evaluation.refine import MAGICTALK
from magictalk_core.evaluation.table import GROUND_TRUTH

__all__ = ["table1", "table2", "table4"]

_LPIPS, _LMD = Column("lpips_alex", "LPIPS", "↓"), Column("lmd_px", "LMD", "↓")
_LSE = (Column("lse_d", "LSE-D", "↓"), Column("lse_c", "LSE-C", "↑"))
_LIKE = (Column("psnr", "PSNR", "↑", 1), Column("ssim", "SSIM", "↑"))
_FID = Column("fid", "FID", "↓", 1)
_TABLE1 = (_LPIPS, Column("cpbd", "CPBD", "↑"), _LMD, *_LSE, *OWN_SYNC, *_LIKE, _FID, Column("csim", "CSIM", "↑"))

READ_SHARE, LEAST_READ = 2 / 3, 2 / 7
LEAST_BLINKS, BLINK_FACTOR = 5.0, 3.0
SAME_SHARE = 0.95
"""Thresholds of Table 2; its notes spell them out."""


def table1(pictures: pd.DataFrame, motion: pd.DataFrame) -> Sheet:
    """Comparison with one-shot methods. `pictures` are PICTURE_SCORES, `motion` SCORES rows."""
    methods = [MAGICTALK, *_others(pictures)]
    rows: list[Row] = []
    for corpus, own in blocks_of(pictures):
        portrait = [*who_of(own, methods, Renderer.PORTRAIT), *external_systems(own)]
        rows += own_rows(f"{corpus}, portrait", portrait, _TABLE1, own, motion)
        rows += own_rows(f"{corpus}, rig", who_of(own, methods, Renderer.RIG), _TABLE1, own, motion)
    notes = (
        "`Ground-truth curves, drawn` is the recording's own tracked motion through our renderer: its upper bound.",
        "On the rig the pictures are held against the rig moved by the recording's curves, not against the recording.",
        "LPIPS, LMD, PSNR and SSIM depend on the head pose, in which a model is free: each method stands there twice.",
    )
    return Sheet(
        "table1", "Table 1: comparison on held-out clips", _TABLE1, (*rows, *printed_rows(printed_in("table1"))), notes
    )


def _others(pictures: pd.DataFrame) -> list[str]:
    """Methods that are neither the paper's nor its ablations: baselines that the preset names."""
    drawn = pictures[pictures["renderer"].isin([str(Renderer.PORTRAIT), str(Renderer.RIG)])]
    return sorted(set(drawn["method"]) - {MAGICTALK, RERENDERED, *ABLATIONS})


def table4(pictures: pd.DataFrame, motion: pd.DataFrame) -> Sheet:
    """Ablation of lip refinement, with the true head pose, so that the lips alone differ."""
    columns = (_LMD, Column("lmd_mouth_px", "LMD, mouth", "↓"), *_LSE, *OWN_SYNC)
    rows: list[Row] = []
    for corpus, own in blocks_of(pictures):
        for renderer in (Renderer.PORTRAIT, Renderer.RIG):
            who = [Who(method, renderer, Pose.TRUTH) for method in (EMODIFF, MAGICTALK)]
            there = [one for one in who if len(one.of(own))]
            rows += own_rows(f"{corpus}, {renderer}, true head pose", there, columns, own, motion)
    title = "Table 4: what lip refinement changes"
    return Sheet("table4", title, columns, (*rows, *printed_rows(printed_in("table4"))))


_TICKS = (
    Column("emotional_talking", "Emotional talking", "", 0, True),
    Column("eye_blinks", "Generated eye blinks", "", 0, True),
    Column("identity_preserved", "Identity preservation", "", 0, True),
)
_BEHIND_TICKS = (
    Column("face_api_emotion_accuracy", "emotion read", "↑", 2),
    Column("picture_blinks_per_minute", "blinks per minute", "", 1),
    Column("same_person", "frames of the same person", "↑", 2),
)


def table2(pictures: pd.DataFrame) -> Sheet:
    """What methods can do, from what was measured: no tick is typed in."""
    rows: list[Row] = []
    for corpus, own in blocks_of(pictures):
        recorded = Who(GROUND_TRUTH, Renderer.RECORDED, Pose.TRUTH)
        methods = [MAGICTALK, *ABLATIONS, *_others(own)]
        drawn = [Who(method, Renderer.PORTRAIT, Pose.GENERATED) for method in methods]
        who = [one for one in (recorded, *drawn, *external_systems(own)) if len(one.of(own))]
        truth = _behind(recorded.of(own))
        for row in own_rows(corpus, who, _BEHIND_TICKS, own):
            rows.append(Row(corpus, row.title, {**_ticks(row.numbers, truth), **row.numbers}, *_names(row)))
    printed = [
        Row(
            "printed in the paper",
            name,
            {p: Number(float(t), "tick", PRINTED_SOURCE) for p, t in zip(PROPERTIES, ticks, strict=True)},
            is_printed=True,
        )
        for name, ticks in PRINTED_TICKS.items()
    ]
    notes = (
        f"Emotional talking: the judge reads the asked emotion at least {READ_SHARE:.2f} times as often as from the "
        f"recordings; undecided where it reads it from less than {LEAST_READ:.2f} of the recordings (twice chance).",
        "The portrait is a frame of the clip and shows its emotion already: a method that adds none has this tick too.",
        f"Eye blinks: at least {LEAST_BLINKS:g} per minute, and no more than {BLINK_FACTOR:g} times as many or as few "
        "as in the recordings; undecided where they show none.",
        f"Identity: at least {SAME_SHARE:.0%} of the frames are taken for the person of the portrait.",
    )
    return Sheet(
        "table2", "Table 2: what methods can do, measured", (*_TICKS, *_BEHIND_TICKS), (*rows, *printed), notes
    )


def _names(row: Row) -> tuple[str, str, str]:
    return row.method, row.renderer, row.pose


def _behind(rows: pd.DataFrame) -> dict[str, Number]:
    return {c.metric: measured(rows[rows["metric"] == c.metric], c.metric) for c in _BEHIND_TICKS}


def _ticks(own: Mapping[str, Number], truth: Mapping[str, Number]) -> dict[str, Number]:
    emotion, blinks, person = (c.metric for c in _BEHIND_TICKS)
    return {
        "emotional_talking": _emotional(own.get(emotion), truth[emotion]),
        "eye_blinks": _blinking(own.get(blinks), truth[blinks]),
        "identity_preserved": _tick(own.get(person), lambda value: value >= SAME_SHARE),
    }


def _tick(number: Number | None, rule: Callable[[float], bool], undecided: str | None = None) -> Number:
    if number is None or number.value is None:
        return Number(None, "tick", reason="not measured" if number is None else number.reason)
    if undecided is not None:
        return Number(None, "tick", reason=undecided)
    facts = (number.stand_ins, number.weights, number.crop, number.size, number.split)
    return Number(float(rule(number.value)), "tick", "measured", None, None, number.n, None, *facts)


def _emotional(own: Number | None, truth: Number) -> Number:
    read = truth.value
    blind = read is None or read < LEAST_READ
    why = f"the judge reads the emotion from {'none' if read is None else f'{read:.0%}'} of the recordings themselves"
    return _tick(own, lambda value: value >= READ_SHARE * (read or 0), why if blind else None)


def _blinking(own: Number | None, truth: Number) -> Number:
    real = truth.value or 0.0

    def rule(value: float) -> bool:
        return value >= LEAST_BLINKS and real / BLINK_FACTOR <= value <= real * BLINK_FACTOR

    return _tick(own, rule, "no blink in the recordings to compare with" if real == 0 else None)
