"""A table before it is written: numbers with all that is known of how they were measured, rows, columns, notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from magictalk_core.evaluation.paper_tables.printed import Printed
from magictalk_core.metrics.intervals import mean_interval

__all__ = [
    "MEASURED",
    "PRINTED_SOURCE",
    "Column",
    "Number",
    "Row",
    "Sheet",
    "how_measured",
    "measured",
    "printed_rows",
    "reasons_of",
    "sheet_rows",
]

MEASURED, PRINTED_SOURCE = "measured", "printed"
_RESAMPLES = 2000


@dataclass(frozen=True)
class Column:
    """A metric as a column: heading, which way is better (`↑`, `↓` or empty), decimals. `is_tick`: yes or no."""

    metric: str
    title: str
    arrow: str
    decimals: int = 3
    is_tick: bool = False


@dataclass(frozen=True)
class Number:
    """A value, or None and the `reason`, with its 95 % interval over `n` clips and what it was measured with."""

    value: float | None
    unit: str = "1"
    source: str = MEASURED
    low: float | None = None
    high: float | None = None
    n: int = 0
    reason: str | None = None
    stand_ins: str = "none"
    weights: str = "none"
    crop: str = "none"
    size: int | None = None
    split: str = ""


@dataclass(frozen=True)
class Row:
    """Who was measured: `title` as it is read, and by which names the other tables know it."""

    block: str
    title: str
    numbers: Mapping[str, Number]
    method: str = ""
    renderer: str = ""
    pose: str = ""
    is_printed: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table of the paper. `notes` are sentences below it."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = field(default=())


def measured(rows: pd.DataFrame, name: str) -> Number:
    """The mean of a metric over clips; `rows` are of one method, renderer, pose and metric, of `picture_scores` or
    `scores`. `name` seeds the bootstrap. The reason is that of the first clip without a value, where none has one."""
    if not len(rows):
        return Number(None, reason="not measured")
    ordered = rows.sort_values("clip_id")
    first = ordered.iloc[0]
    values = ordered["value"].dropna().to_numpy(dtype=float)
    low, high = mean_interval(values, name, _RESAMPLES) or (None, None)
    reason = None
    if not len(values):
        reasons = ordered["reason"].dropna() if "reason" in ordered else pd.Series(dtype=object)
        reason = str(reasons.iloc[0]) if len(reasons) else "undefined in every clip"
    return Number(
        float(values.mean()) if len(values) else None,
        str(first["unit"]),
        MEASURED,
        low,
        high,
        len(values),
        reason,
        str(first["stand_ins"]),
        str(first.get("weights", "none")),
        str(first.get("crop", "none")),
        None if pd.isna(first.get("size")) else int(first["size"]),
        str(first.get("split", "")),
    )


def printed_rows(found: Iterable[Printed]) -> list[Row]:
    """The paper's rows, one per block and method, in its order."""
    grouped: dict[tuple[str, str], dict[str, Number]] = {}
    printed = list(found)
    blocks = list(dict.fromkeys(one.block for one in printed))
    for one in sorted(printed, key=lambda one: blocks.index(one.block)):
        number = Number(one.value, "", PRINTED_SOURCE, split=f"{one.block}, as the paper prints it")
        grouped.setdefault((one.block, one.row), {})[one.metric] = number
    return [Row(f"{block}, printed in the paper", row, n, is_printed=True) for (block, row), n in grouped.items()]


def sheet_rows(sheet: Sheet) -> list[dict[str, Any]]:
    """The long form: a PAPER_NUMBERS row per number, in the order of the table."""
    rows: list[dict[str, Any]] = []
    for row in sheet.rows:
        named = {"table": sheet.name, "block": row.block, "title": row.title}
        named |= {"method": row.method, "renderer": row.renderer, "pose": row.pose}
        for column in sheet.columns:
            number = row.numbers.get(column.metric)
            if number is not None:
                rows.append({**named, "position": len(rows), "metric": column.metric, **asdict(number)})
    return rows


def reasons_of(sheet: Sheet) -> Sequence[str]:
    """Why cells are empty, each once, in the order in which they are met: the notes that a letter leads to."""
    numbers = (row.numbers[c.metric] for row in sheet.rows for c in sheet.columns if c.metric in row.numbers)
    return list(dict.fromkeys(number.reason for number in numbers if number.value is None and number.reason))


def how_measured(sheet: Sheet) -> list[str]:
    """One sentence per column: weights, crop, size, split, clips and stand-ins of our numbers in it."""
    told = []
    for column in sheet.columns:
        ours = [row.numbers[column.metric] for row in sheet.rows if column.metric in row.numbers and not row.is_printed]
        ours = [number for number in ours if number.value is not None]
        if not ours:
            continue
        parts = {
            "judged by": {n.weights for n in ours if n.weights != "none"},
            "of": {n.crop for n in ours if n.crop != "none"},
            "at": {f"{n.size} px" for n in ours if n.size},
            "test set": {n.split for n in ours if n.split},
            "n": {str(n.n) for n in ours if n.n},
            "stand-ins": {one for n in ours if n.stand_ins != "none" for one in n.stand_ins.split("; ")},
        }
        text = "; ".join(f"{name} {', '.join(sorted(found))}" for name, found in parts.items() if found)
        if text:
            told.append(f"{column.title}: {text}.")
    return told
