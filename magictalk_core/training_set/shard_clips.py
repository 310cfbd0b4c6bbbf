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

__all__ = ["ClipArrays", "CorpusTables", "distinct_values", "feature_size", "seen_channels", "shard_clips"]


@dataclass(frozen=True)
class CorpusTables:
    """The files of one corpus that go in, and the digest of its manifest. A shard's frames and speech have one name."""

    clips: Path
    frames: Sequence[Path]
    speech: Sequence[Path]
    digest: str


@dataclass(frozen=True, eq=False)
class ClipArrays:
    """motion (n, 58) in MOTION_NAMES order, NaN where not measured; speech (m, F), None of a clip for style alone."""

    clip_id: str
    motion: NDArray[np.float32]
    speech: NDArray[np.float32] | None


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


def feature_size(paths: Sequence[Path]) -> int:
    """Values per frame in the first row of speech tables; 0 where none has a row."""
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1, columns=["features"]):
            return len(batch["features"][0])
    return 0


def shard_clips(tables: CorpusTables, wanted: pd.Index, styles: frozenset[str] = frozenset()) -> Iterator[ClipArrays]:
    """The clips of `wanted` ids that have motion and speech, shard by shard, by id inside a shard; of `styles` the
    motion alone."""
    speech_of = {path.name: path for path in tables.speech}
    for path in sorted(tables.frames, key=lambda p: p.name):
        motion = motion_rows(path)
        speech = speech_rows(speech_of[path.name]) if path.name in speech_of else None
        spoken = motion.places.keys() & speech.places.keys() & set(wanted) - styles if speech else set()
        for clip in sorted(spoken | (motion.places.keys() & styles & set(wanted))):
            heard = speech.values[speech.places[clip]] if speech and clip in spoken else None
            yield ClipArrays(clip, motion.values[motion.places[clip]], heard)
