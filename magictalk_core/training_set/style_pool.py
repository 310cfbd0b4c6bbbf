"""Where the style of a training window comes from.

The paper draws random frames so that the style tells nothing about the audio. The pool of a window is, in this order:
the other clips of the same corpus, speaker, emotion and split; the same clip outside the window; the same clip, when it
is hardly longer than the window.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

__all__ = ["StylePools"]

Indices = NDArray[np.int64]


class StylePools:
    """Draws style frames for windows of a training set.

    All frames are laid out so that those of one pool key (corpus, speaker, emotion, split) are neighbours, and within
    it those of one clip. A pool is then one range of that layout with another range left out, at any corpus size.
    """

    def __init__(self, index: pd.DataFrame, window: int) -> None:
        """`index` as in `TrainingSet.index`: one row per segment, ordered by `start`."""
        self._window = window
        self._starts = index["start"].to_numpy(np.int64)
        self._ends = self._starts + index["length"].to_numpy(np.int64)
        keys = index[["corpus", "speaker", "emotion", "split"]].astype(object).fillna("").agg("|".join, axis=1)
        rows = index.assign(key=keys, row=np.arange(len(index))).sort_values(["key", "clip_id", "start"])
        lengths = rows["length"].to_numpy(np.int64)
        places = np.cumsum(lengths) - lengths
        spans = zip(rows["start"].tolist(), lengths.tolist(), strict=True)
        self._layout = np.concatenate([np.arange(start, start + n) for start, n in spans])
        self._place = _back_to_rows(rows, places)
        self._pool = _ranges(rows, places, lengths, ["key"])
        self._clip = _ranges(rows, places, lengths, ["key", "clip_id"])
        # The same ranges, counted in segments: `_order` holds the rows of the index in the order of the layout.
        ones = np.ones(len(rows), np.int64)
        self._order = rows["row"].to_numpy(np.int64)
        self._pool_rows = _ranges(rows, np.arange(len(rows)), ones, ["key"])
        self._clip_rows = _ranges(rows, np.arange(len(rows)), ones, ["key", "clip_id"])

    def _pools(self, starts: Indices, least: int) -> tuple[Indices, Indices, Indices, Indices]:
        """(begin, end, left, gap) (B,) in the layout: the range of each window's pool, and what is left out of it.

        Nothing is left out where fewer than `least` frames would stay.
        """
        row = np.searchsorted(self._starts, starts, side="right") - 1
        begin, end = self._pool[row].T
        left, right = self._clip[row].T
        alone = (left == begin) & (right == end)
        own = self._place[row] + starts - self._starts[row]
        left, right = np.where(alone, own, left), np.where(alone, own + self._window, right)
        enough = (end - begin) - (right - left) >= least
        return begin, end, left, np.where(enough, right - left, 0)

    def draw(self, starts: Indices, count: int, generator: torch.Generator) -> Indices:
        """(B, count) frames from all over the pools of the windows that begin at `starts` (B,)."""
        begin, end, left, gap = self._pools(starts, count)
        numbers = torch.rand(len(starts), count, generator=generator, dtype=torch.float64).numpy()
        places = begin[:, None] + (numbers * (end - begin - gap)[:, None]).astype(np.int64)
        places += np.where(places >= left[:, None], gap[:, None], 0)
        return np.asarray(self._layout[places])

    def draw_clips(self, starts: Indices, length: int, generator: torch.Generator) -> Indices:
        """(B, length) frames of one other segment of each window's pool, of its own where there is no other.

        Half of the draws are frames in a row, the other half frames from all over the segment, as a style bank keeps
        them.
        """
        row = np.searchsorted(self._starts, starts, side="right") - 1
        numbers = torch.rand(len(starts), 3, generator=generator, dtype=torch.float64).numpy()
        scattered = torch.rand(len(starts), length, generator=generator, dtype=torch.float64).sort(dim=1)[0].numpy()
        begin, end = self._pool_rows[row].T
        left, right = self._clip_rows[row].T
        gap = np.where(end - begin > right - left, right - left, 0)
        place = begin + (numbers[:, 0] * (end - begin - gap)).astype(np.int64)
        chosen = self._order[place + np.where(place >= left, gap, 0)]
        first, last = self._starts[chosen], self._ends[chosen]
        room = np.maximum(last - first - length + 1, 1)
        start = first + (numbers[:, 1] * room).astype(np.int64)
        in_a_row = np.minimum(start[:, None] + np.arange(length), last[:, None] - 1)
        all_over = first[:, None] + (scattered * (last - first)[:, None]).astype(np.int64)
        return np.asarray(np.where(numbers[:, 2:] < 0.5, in_a_row, all_over))

    def sums(self, states: torch.Tensor) -> torch.Tensor:
        """(L + 1, D) running sums of states (L, D) along the layout, for `means`."""
        return torch.nn.functional.pad(states[torch.from_numpy(self._layout)].double().cumsum(0), (0, 0, 1, 0))

    def means(self, starts: Indices, sums: torch.Tensor, least: int) -> torch.Tensor:
        """(B, D) mean state of the whole pool of each window, of which `draw` takes `least` frames."""
        begin, end, left, gap = (torch.from_numpy(np.asarray(v)) for v in self._pools(starts, least))
        whole = sums[end] - sums[begin] - (sums[left + gap] - sums[left])
        return (whole / (end - begin - gap)[:, None]).float()


def _back_to_rows(rows: pd.DataFrame, values: Indices) -> Indices:
    """`values` per row of the sorted `rows`, in the order of the index."""
    result = np.empty_like(values)
    result[rows["row"].to_numpy()] = values
    return result


def _ranges(rows: pd.DataFrame, places: Indices, lengths: Indices, by: list[str]) -> Indices:
    """(rows, 2): the range of the layout that the rows with the same values of `by` fill, per row of the index."""
    groups = pd.DataFrame({"begin": places, "end": places + lengths}).groupby([rows[b].to_numpy() for b in by])
    begin, end = groups["begin"].transform("min"), groups["end"].transform("max")
    return np.stack([_back_to_rows(rows, begin.to_numpy()), _back_to_rows(rows, end.to_numpy())], axis=1)
