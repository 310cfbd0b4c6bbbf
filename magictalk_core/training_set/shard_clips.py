"""The clips of prepared corpora one shard at a time: what is in memory is one shard, whatever the size of a corpus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from magictalk_core.preparation.shard_rows import motion_rows, speech_rows
from magictalk_core.vocabulary.arkit import STATE_NAMES

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


def shard_clips(tables: CorpusTables, wanted: pd.Index) -> Iterator[ClipArrays]:
    """The clips of `wanted` ids that have motion and speech, shard by shard, by id inside a shard."""
    speech_of = {path.name: path for path in tables.speech}
    for path in sorted(tables.frames, key=lambda p: p.name):
        if path.name not in speech_of:
            continue
        motion, speech = motion_rows(path), speech_rows(speech_of[path.name])
        both = (motion.places.keys() & speech.places.keys()) & set(wanted)
        for clip in sorted(both):
            yield ClipArrays(clip, motion.values[motion.places[clip]], speech.values[speech.places[clip]])
