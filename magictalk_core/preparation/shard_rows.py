"""Whole shard tables in memory: reading all clips of a corpus decodes every shard once, not once per clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.storage.parquet import read_table
from magictalk_core.storage.schema import FRAMES, SPEECH
from magictalk_core.vocabulary.arkit import MOTION_NAMES

__all__ = ["KEPT_BYTES", "ShardRows", "ShardTables", "motion_rows", "speech_rows"]

KEPT_BYTES = 1_000_000_000
"""Memory for the tables used last: 2 million rows of motion and speech features, a day of video."""


@dataclass(frozen=True, eq=False)
class ShardRows:
    """The numbers of a shard, float32 (rows, size), where each clip's lie, and its label (tracker or feature id)."""

    values: NDArray[np.float32]
    places: Mapping[str, slice]
    labels: Mapping[str, str]


def _by_clip(table: pa.Table, values: NDArray[np.float32], label: str) -> ShardRows:
    """`values` (rows, size) of a table sorted by `clip_id`, as all of ours are; `label` names the label's column."""
    ids = table["clip_id"].combine_chunks().dictionary_encode()
    codes = ids.indices.to_numpy()
    first = np.flatnonzero(np.diff(codes, prepend=-1))
    names = [str(ids.dictionary[int(code)]) for code in codes[first]]
    ends = np.append(first[1:], len(codes))
    places = {name: slice(int(a), int(b)) for name, a, b in zip(names, first, ends, strict=True)}
    labels = dict(zip(names, map(str, table[label].take(first).to_pylist()), strict=True))
    return ShardRows(values, places, labels)


def motion_rows(path: Path) -> ShardRows:
    """Motion (rows, 58) in MOTION_NAMES order of a FRAMES table, NaN where not measured; labelled by tracker id."""
    table = read_table(FRAMES, path, columns=["clip_id", *MOTION_NAMES, "tracker"])
    values = np.empty((len(table), len(MOTION_NAMES)), np.float32)
    for column, name in enumerate(MOTION_NAMES):
        values[:, column] = table[name].to_numpy()
    return _by_clip(table, values, "tracker")


def speech_rows(path: Path) -> ShardRows:
    """Features (rows, F) of a SPEECH table, labelled by feature id."""
    table = read_table(SPEECH, path, columns=["clip_id", "features", "feature_id"])
    flat = table["features"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return _by_clip(table, flat.reshape(len(table), -1), "feature_id")


@dataclass
class ShardTables:
    """The tables read last, up to `KEPT_BYTES`, and at least one."""

    read: Callable[[Path], ShardRows]
    kept_bytes: int = KEPT_BYTES
    _kept: dict[Path, ShardRows] = field(default_factory=dict)

    def clip(self, path: Path, clip_id: str) -> tuple[NDArray[np.float32], str]:
        """A clip's own copy of its numbers (n, size), and its label."""
        shard = self._kept.pop(path, None) or self.read(path)
        self._kept[path] = shard
        while len(self._kept) > 1 and sum(kept.values.nbytes for kept in self._kept.values()) > self.kept_bytes:
            self._kept.pop(next(iter(self._kept)))
        if clip_id not in shard.places:
            raise PermanentError(f"{path}: no rows of clip `{clip_id}`: type `magictalk run` to make them")
        return shard.values[shard.places[clip_id]].copy(), shard.labels[clip_id]
