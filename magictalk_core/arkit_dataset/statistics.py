"""Statistics of the dataset: per channel over all frames, and per clip for what emotions do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import ARKIT
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES

__all__ = ["DatasetStatistics", "measure"]

_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_BINS = 256


@dataclass(frozen=True, eq=False)
class DatasetStatistics:
    """`channels`: one row per motion column, over frames with a face: count, nulls, mean, std, min, max, quantiles
    (coefficients only, to 1/256). `clips`: one row per clip: corpus, speaker, emotion, level, tracker, mean of every
    coefficient over its frames with a face."""

    channels: pd.DataFrame
    clips: pd.DataFrame

    def by_channel(self) -> dict[str, dict[str, float]]:
        """The rows of `channels` by name."""
        columns = [str(column) for column in self.channels.columns]
        rows = self.channels.itertuples(index=True, name=None)
        return {str(name): dict(zip(columns, map(float, values), strict=True)) for name, *values in rows}

    def as_json(self) -> dict[str, Any]:
        """Per channel, and mean and standard deviation over clips by emotion."""
        found = self.channels.round(6).astype(object)
        rows = found.where(found.notna(), None).to_dict("index")
        emotions = self.clips.groupby("emotion", sort=True)[list(ARKIT_NAMES)]
        by_emotion = {
            str(emotion): {
                name: {"mean": _rounded(group[name].mean()), "std": _rounded(group[name].std(ddof=0))}
                for name in ARKIT_NAMES
            }
            for emotion, group in emotions
        }
        return {"channels": rows, "emotions": by_emotion}


def _rounded(value: float) -> float | None:
    return None if not np.isfinite(value) else round(float(value), 6)


def measure(files: Iterable[Path]) -> DatasetStatistics:
    """Read the data files one by one; memory holds one of them."""
    names = list(MOTION_NAMES)
    count, total, squares = (np.zeros(len(names)) for _ in range(3))
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    histogram = np.zeros((len(ARKIT_NAMES), _BINS), np.int64)
    frames, clips = 0, []
    labels = ["clip_id", "corpus", "speaker", "emotion", "level", "tracker", "face_found"]
    for file in files:
        table = read_frame(ARKIT, file, columns=[*labels, *names])
        table = table[table["face_found"]]
        if not len(table):
            continue
        values = table[names].to_numpy(np.float64)
        known = np.isfinite(values)
        frames += len(values)
        count += known.sum(axis=0)
        total += np.where(known, values, 0).sum(axis=0)
        squares += np.where(known, values**2, 0).sum(axis=0)
        low = np.minimum(low, np.where(known, values, np.inf).min(axis=0))
        high = np.maximum(high, np.where(known, values, -np.inf).max(axis=0))
        for i in range(len(ARKIT_NAMES)):
            histogram[i] += np.histogram(values[known[:, i], i], bins=_BINS, range=(0.0, 1.0))[0]
        grouped = table.groupby("clip_id", sort=True, observed=True)
        first = grouped[labels[1:-1]].first()
        clips.append(pd.concat([first, grouped[list(ARKIT_NAMES)].mean()], axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total / count
        std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    seen = count > 0
    table = pd.DataFrame(
        {
            "count": count.astype(int),
            "nulls": frames - count.astype(int),
            "mean": mean,
            "std": std,
            "min": np.where(seen, low, np.nan),
            "max": np.where(seen, high, np.nan),
        },
        index=names,
    )
    for q in _QUANTILES:
        table[f"q{round(100 * q):02d}"] = [*(_quantile(row, q) for row in histogram), *[np.nan] * (len(names) - 52)]
    empty = pd.DataFrame(columns=[*labels[1:-1], *ARKIT_NAMES])
    return DatasetStatistics(table, pd.concat(clips).sort_index() if clips else empty)


def _quantile(histogram: np.ndarray[Any, np.dtype[np.int64]], q: float) -> float:
    """Middle of the bin in which the quantile lies."""
    if not histogram.sum():
        return float("nan")
    return float((np.searchsorted(np.cumsum(histogram), q * histogram.sum()) + 0.5) / _BINS)
