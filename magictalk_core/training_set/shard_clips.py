"""The clips of prepared corpora one shard at a time: what is in memory is one shard, whatever the size of a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from magictalk_core.storage.parquet import read_table
from magictalk_core.storage.schema import FRAMES, SPEECH
from magictalk_core.vocabulary.arkit import MOTION_NAMES, STATE_NAMES

__all__ = ["ClipArrays", "CorpusTables", "distinct_values", "seen_channels", "shard_clips"]


@dataclass(frozen=True)
class CorpusTables:
    """The files of one corpus that go in, and the digest of its manifest. A shard's frames and speech have one name."""

    clips: Path
    frames: Sequence[Path]
    speech: Sequence[Path]
    digest: str


@dataclass(frozen=True, eq=False)
class ClipArrays:
    """motion (n, 58) in MOTION_NAMES order, NaN where not measured; speech (m, F)."""

    clip_id: str
    motion: NDArray[np.float32]
    speech: NDArray[np.float32]


def distinct_values(paths: Sequence[Path], column: str) -> set[str]:
    """The values of a label column over all files."""
    found: set[str] = set()
    for path in paths:
        for value in pq.read_table(path, columns=[column])[column].unique().to_pylist():
            found.add(str(value))
    return found


def seen_channels(paths: Sequence[Path]) -> frozenset[str]:
    """Channels that the tracker sees: not null in every frame. The files' own statistics tell; nothing is decoded."""
    seen: set[str] = set()
    for path in paths:
        metadata = pq.read_metadata(path)
        columns = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
        for group in range(metadata.num_row_groups):
            for name in set(STATE_NAMES) - seen:
                statistics = metadata.row_group(group).column(columns[name]).statistics
                if statistics is None or statistics.null_count < metadata.row_group(group).num_rows:
                    seen.add(name)
    return frozenset(seen)


def _spans(table: pa.Table) -> dict[str, slice]:
    """clip id -> its rows; tables are sorted by (clip_id, frame_index)."""
    ids = table["clip_id"].to_numpy()
    edges = np.flatnonzero(ids[1:] != ids[:-1]) + 1
    bounds = [0, *edges.tolist(), len(ids)]
    return {str(ids[a]): slice(a, b) for a, b in pairwise(bounds) if a < b}


def _vectors(table: pa.Table) -> NDArray[np.float32]:
    """(rows, F) of a column of fixed or equal lists, without a Python object per value."""
    lists = table["features"].combine_chunks()
    values: NDArray[np.float32] = lists.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(table), -1).astype(np.float32, copy=False)


def _motion(table: pa.Table) -> NDArray[np.float32]:
    columns = [table[name].to_numpy() for name in MOTION_NAMES]
    return np.stack(columns, axis=1).astype(np.float32, copy=False)


def shard_clips(tables: CorpusTables, wanted: pd.Index) -> Iterator[ClipArrays]:
    """The clips of `wanted` ids that have motion and speech, shard by shard, by id inside a shard."""
    speech_of = {path.name: path for path in tables.speech}
    for path in sorted(tables.frames, key=lambda p: p.name):
        if path.name not in speech_of:
            continue
        frames = read_table(FRAMES, path, columns=["clip_id", *MOTION_NAMES])
        speech = read_table(SPEECH, speech_of[path.name], columns=["clip_id", "features"])
        rows, heard = _spans(frames), _spans(speech)
        both = sorted((rows.keys() & heard.keys()) & set(wanted))
        if not both:
            continue
        motion, vectors = _motion(frames), _vectors(speech)
        for clip in both:
            yield ClipArrays(clip, motion[rows[clip]], vectors[heard[clip]])
