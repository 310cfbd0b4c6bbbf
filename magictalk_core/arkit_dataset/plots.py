"""Plots of the dataset card: what emotions do to channels, and how much there is of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from magictalk_core.arkit_dataset.statistics import DatasetStatistics
from magictalk_core.report.svg import PAPER, quiet_axes, save_figure
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["emotion_figure", "spread_figure", "write_plots"]

_CHANNELS = 24


def emotion_figure(stats: DatasetStatistics) -> Figure:
    """Mean of the channels that differ most between emotions, one row per emotion."""
    means = stats.clips.groupby(stats.clips["emotion"].astype(object).fillna("unlabelled"), sort=True)[
        list(ARKIT_NAMES)
    ].mean()
    spread = means.std(axis=0, ddof=0).fillna(0) + 1e-3 * means.mean(axis=0).fillna(0)
    chosen = set(spread.nlargest(_CHANNELS).index)
    channels = [name for name in ARKIT_NAMES if name in chosen]
    counts = stats.clips["emotion"].astype(object).fillna("unlabelled").value_counts()
    figure = Figure(figsize=(8.4, 1.6 + 0.3 * len(means)), layout="constrained")
    axes = figure.subplots()
    quiet_axes(axes, PAPER, grid=False)
    image = axes.imshow(means[channels].to_numpy(), aspect="auto", cmap="BuGn", vmin=0.0)
    axes.set_xticks(range(len(channels)), channels, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(means)), [f"{emotion} ({counts[emotion]} clips)" for emotion in means.index])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)  # a label with dollar signs is a name, not a formula
    figure.colorbar(image, ax=axes, label="mean over clips", shrink=0.9)
    return figure


def spread_figure(stats: DatasetStatistics) -> Figure:
    """Range of every coefficient over all frames: 1 to 99 % as a line, quartiles as a bar, the median as a dot."""
    rows = stats.channels.loc[list(ARKIT_NAMES)]
    at = np.arange(len(rows))[::-1]
    figure = Figure(figsize=(6.4, 8.6), layout="constrained")
    axes = figure.subplots()
    quiet_axes(axes, PAPER, grid=False)
    axes.hlines(at, rows["q01"], rows["q99"], color=PAPER.rule, linewidth=2)
    axes.hlines(at, rows["q25"], rows["q75"], color=PAPER.accent, linewidth=4)
    axes.plot(rows["q50"], at, "o", color=PAPER.ink, markersize=3)
    for y, (name, row) in zip(at, rows.iterrows(), strict=True):
        if not row["count"]:
            axes.text(0.0, y, f"{name}: not seen by the tracker", va="center", fontsize=7, color=PAPER.muted)
    axes.set_yticks(at, list(rows.index), fontsize=7)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-1, len(rows))
    return figure


def write_plots(stats: DatasetStatistics, folder: Path) -> None:
    """`emotions.svg` and `channels.svg`."""
    if len(stats.clips):
        save_figure(emotion_figure(stats), folder / "emotions.svg")
        save_figure(spread_figure(stats), folder / "channels.svg")
