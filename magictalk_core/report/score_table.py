"""The score table of the report: metrics in sections, methods in columns, mean with interval, the best one marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import pandas as pd

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.stand_ins import NONE, described
from magictalk_core.evaluation.table import CHANCE, GROUND_TRUTH, TRUE_CURVES
from magictalk_core.metrics.catalogue import CATALOGUE, METRICS, Better, MetricSpec

__all__ = ["ARROWS", "Cell", "ScoreRow", "ScoreSection", "number_text", "score_sections"]

ARROWS: dict[Better, tuple[str, str]] = {
    Better.LOWER: ("↓", "lower is better"),
    Better.HIGHER: ("↑", "higher is better"),
    Better.LIKE_TRUTH: ("≈", "best like the real clips"),
    Better.NEAR_ONE: ("→1", "best near 1"),
}

_MARGIN = 0.06


@dataclass(frozen=True)
class Cell:
    """One method's result. `left`, `right` and `dot` place the interval on the row's scale, in percent."""

    method: str
    mean: str | None
    interval: str | None
    n: int
    clips: int
    best: bool = False
    left: float | None = None
    right: float | None = None
    dot: float | None = None
    number: float | None = None
    """The mean itself, to sort by."""


@dataclass(frozen=True)
class ScoreRow:
    """One metric over all methods."""

    spec: MetricSpec
    arrow: str
    direction: str
    cells: tuple[Cell, ...]
    stand_ins: str
    """Those of all its numbers, as the tables write them."""


@dataclass(frozen=True)
class ScoreSection:
    """Metrics that belong together."""

    title: str
    rows: tuple[ScoreRow, ...]


def number_text(value: float, decimals: int) -> str:
    """A number as the page shows it, with a real minus sign."""
    return f"{value:.{decimals}f}".replace("-", "−")


def _badness(spec: MetricSpec, mean: float, truth: float | None) -> float:
    """How far a mean is from what is best; smaller is better, infinite where it cannot be said."""
    if spec.better is Better.LOWER:
        return mean
    if spec.better is Better.HIGHER:
        return -mean
    if spec.better is Better.NEAR_ONE:
        return abs(math.log(mean)) if mean > 0 else math.inf
    return abs(mean - truth) if truth is not None else math.inf


_NO_METHODS = frozenset((GROUND_TRUTH, TRUE_CURVES, CHANCE))
"""Rows that say what is possible and what comes by itself: the star is for a method."""


def _best(spec: MetricSpec, means: dict[str, float]) -> str | None:
    """The method to mark; none when there is nothing to compare or when two show the same number."""
    truth = means.get(GROUND_TRUTH)
    others = {m: _badness(spec, v, truth) for m, v in means.items() if m not in _NO_METHODS}
    if len(others) < 2 or not all(math.isfinite(v) for v in others.values()):
        return None
    winner = min(others, key=lambda m: others[m])
    same = [m for m in others if number_text(means[m], spec.decimals) == number_text(means[winner], spec.decimals)]
    return winner if len(same) == 1 else None


def _row(spec: MetricSpec, rows: pd.DataFrame, methods: Sequence[str]) -> ScoreRow:
    found = {str(row["method"]): row for _, row in rows.iterrows()}
    means = {m: float(found[m]["mean"]) for m in methods if m in found and pd.notna(found[m]["mean"])}
    best = _best(spec, means)
    ends = [float(v) for m in means for v in found[m][["mean", "low", "high"]] if pd.notna(v)]
    low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
    span = (high - low) * (1 + 2 * _MARGIN)

    def place(value: float) -> float:
        return round(100 * ((value - low) / span + _MARGIN / (1 + 2 * _MARGIN)), 2) if span > 0 else 50.0

    cells = []
    for method in methods:
        if method not in found:
            cells.append(Cell(method, None, None, 0, 0))
            continue
        row, mean = found[method], means.get(method)
        if mean is None:
            cells.append(Cell(method, None, None, 0, int(row["clips"])))
            continue
        known = pd.notna(row["low"]) and pd.notna(row["high"])
        interval = (
            f"[{number_text(row['low'], spec.decimals)}, {number_text(row['high'], spec.decimals)}]" if known else None
        )
        left, right = (place(row["low"]), place(row["high"])) if known else (None, None)
        sizes = int(row["n"]), int(row["clips"])
        text = number_text(mean, spec.decimals)
        cells.append(Cell(method, text, interval, *sizes, method == best, left, right, place(mean), mean))
    arrow, direction = ARROWS[spec.better]
    stand_ins = "; ".join(map(str, described(rows["stand_ins"]))) or NONE
    return ScoreRow(spec, arrow, direction, tuple(cells), stand_ins)


def score_sections(summary: pd.DataFrame, methods: Sequence[str]) -> list[ScoreSection]:
    """The rows of the table from a summary of `evaluation.table.summary`, in the order of the catalogue.

    Raises `PermanentError` for a metric without an entry in the catalogue: a number nobody can read is not shown.
    """
    unknown = sorted(set(summary["metric"]) - set(METRICS))
    if unknown:
        raise PermanentError(
            f"metrics {unknown} have no entry in metrics/catalogue.py: expected title, unit and meaning"
        )
    rows = [
        _row(spec, summary[summary["metric"] == spec.name], methods)
        for spec in CATALOGUE
        if (summary["metric"] == spec.name).any()
    ]
    return [ScoreSection(title, tuple(group)) for title, group in groupby(rows, key=lambda row: row.spec.section)]
