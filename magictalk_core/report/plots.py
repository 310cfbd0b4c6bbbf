"""The plots of the report. Each returns a matplotlib figure; `svg` turns it into a part of the page or into a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from magictalk_core.report.svg import PAGE, PAPER, Palette, quiet_axes, save_figure

if TYPE_CHECKING:
    # Not at run time: every training plots its curves, and the model of the report loads all of evaluation.
    from magictalk_core.report.model import CorpusFunnel, Funnel, JawTrace

__all__ = ["curve_figure", "funnel_figure", "jaw_figure", "loss_metrics", "write_curve_plot", "write_funnel_plot"]

_WIDTH_IN = 5.2
_MAX_POINTS = 600
_LABEL_GAP_PT = 11.0


def jaw_figure(jaw: JawTrace, palette: Palette = PAGE) -> Figure:
    """jawOpen over time: the real clip as an area, the generated motion as a line."""
    figure = Figure(figsize=(_WIDTH_IN, 1.5), layout="constrained")
    axes = figure.subplots()
    quiet_axes(axes, palette)
    for values, front in ((jaw.truth, False), (jaw.generated, True)):
        seconds = np.arange(len(values)) / jaw.fps
        if not front:
            axes.fill_between(seconds, 0, values, color=palette.rule, linewidth=0)
        colour, width = (palette.accent, 1.8) if front else (palette.muted, 1.2)
        axes.plot(seconds, values, color=colour, linewidth=width, solid_joinstyle="round")
    measured = np.concatenate([jaw.truth, jaw.generated])
    measured = measured[np.isfinite(measured)]
    top = float(measured.max()) if len(measured) else 0.0
    axes.set_ylim(0, max(0.2, top * 1.12))
    axes.set_xlim(0, max(len(jaw.truth), len(jaw.generated), 2) / jaw.fps)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="x", pad=6)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
    return figure


def loss_metrics(curves: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The metric names of `curves`: those that are losses, and the others."""
    names = sorted(str(name) for name in curves["metric"].unique()) if len(curves) else []
    losses = [name for name in names if "loss" in name.lower()]
    return losses, [name for name in names if name not in losses]


def _thinned(
    steps: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    keep = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _MAX_POINTS)).round().astype(np.int64))
    return steps[keep], values[keep]


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    width = max(3, len(values) // 10)
    smoothed: NDArray[np.float64] = pd.Series(values).rolling(width, center=True, min_periods=1).median().to_numpy()
    return smoothed


def _label_ends(axes: Axes, ends: list[tuple[str, float, float, str]]) -> None:
    """Write each (name, x, y, colour) beside the end of its curve; labels that would touch move apart."""
    heights = {name: float(axes.transData.transform((x, y))[1]) * 72 / axes.figure.dpi for name, x, y, _ in ends}
    right, below = max((x for _, x, _, _ in ends), default=0.0), -np.inf
    for name, _, y, colour in sorted(ends, key=lambda end: (heights[end[0]], end[0])):
        height = max(heights[name], below + _LABEL_GAP_PT)
        below = height
        offset = (5, height - heights[name])
        axes.annotate(
            name,
            (right, y),
            xytext=offset,
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9,
            annotation_clip=False,
        )


def curve_figure(curves: pd.DataFrame, names: list[str], palette: Palette = PAGE, height_in: float = 2.6) -> Figure:
    """Metrics over optimizer steps on one axis; noisy curves also as their running median. Log scale where it helps."""
    figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
    axes = figure.subplots()
    quiet_axes(axes, palette)
    shown = curves[curves["metric"].isin(names)]
    colours = (palette.accent, palette.second, palette.ink, palette.muted)
    ends: list[tuple[str, float, float, str]] = []
    for number, name in enumerate(names):
        rows = shown[(shown["metric"] == name) & np.isfinite(shown["value"])].sort_values("step")
        if rows.empty:
            continue
        steps, values = _thinned(rows["step"].to_numpy(np.float64), rows["value"].to_numpy(np.float64))
        colour = colours[number % len(colours)]
        style = "-" if number < len(colours) else "--"
        if len(values) > 60:
            axes.plot(steps, values, color=colour, linewidth=0.8, alpha=0.3)
            values = _smooth(values)
        axes.plot(steps, values, color=colour, linewidth=1.8, linestyle=style)
        ends.append((name, float(steps[-1]), float(values[-1]), colour))
    finite = shown["value"][np.isfinite(shown["value"])]
    if len(finite) and finite.min() > 0 and finite.max() / finite.min() > 8:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _label_ends(axes, ends)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_xlabel("optimizer step", color=palette.muted, fontsize=9)
    return figure


def _amount(clips: int, minutes: float) -> str:
    noun = "clip" if clips == 1 else "clips"
    return f"{clips:,} {noun} · {minutes:.1f} min"


def _draw_funnel(axes: Axes, corpus: CorpusFunnel, palette: Palette) -> None:
    quiet_axes(axes, palette, grid=False)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])
    stages = corpus.stages
    widest = max(stages[0].clips, 1)
    before = (stages[0].clips, *(stage.clips for stage in stages))
    for row, stage in enumerate(stages):
        last = row == len(stages) - 1
        axes.barh(row, stage.clips, height=0.62, color=palette.accent if last else palette.soft, linewidth=0)
        lost = before[row] - stage.clips
        text = _amount(stage.clips, stage.minutes) + (f" (−{lost:,})" if lost else "")
        axes.text(stage.clips + widest * 0.015, row, text, va="center", fontsize=9, color=palette.ink)
    axes.set_yticks(range(len(stages)), [stage.name for stage in stages])
    axes.tick_params(axis="y", colors=palette.ink)
    axes.set_ylim(len(stages) - 0.5, -0.6)
    axes.set_xlim(0, widest * 1.5)


def funnel_figure(corpora: Sequence[CorpusFunnel], palette: Palette = PAGE) -> Figure:
    """Clips that passed each stage, one panel per corpus on its own scale, with the clips lost at each step."""
    panels = max(len(corpora), 1)
    figure = Figure(figsize=(_WIDTH_IN, 0.2 + 1.9 * panels), layout="constrained")
    all_axes = figure.subplots(panels, 1, squeeze=False)[:, 0]
    for axes, corpus in zip(all_axes, corpora, strict=False):
        _draw_funnel(axes, corpus, palette)
        if panels > 1:
            axes.set_title(corpus.corpus, loc="left", fontsize=10, fontweight="bold", color=palette.ink)
    return figure


def write_funnel_plot(funnel: Funnel, path: Path) -> None:
    """The funnel as a file of its own, `.svg` or `.png`."""
    save_figure(funnel_figure(funnel.corpora, PAPER), path)


def write_curve_plot(curves: Path, target: Path) -> None:
    """The losses of a training, from its `curves.csv`, as an SVG."""
    table = pd.read_csv(curves)
    save_figure(curve_figure(table, loss_metrics(table)[0], PAPER), target)
