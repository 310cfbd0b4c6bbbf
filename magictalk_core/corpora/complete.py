"""The finished clip table of a corpus: the index joined with what standardizing found out about each clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from magictalk_core.corpora.records import Status
from magictalk_core.errors import PermanentError
from magictalk_core.tables.parquet import read_frame, write_table
from magictalk_core.tables.schema import CLIPS, MEDIA

__all__ = ["complete_clips"]

_MEASURED = tuple(n for n in MEDIA.names if n in CLIPS.names and n not in ("clip_id", "status", "reason", "detail"))


def complete_clips(index: Path, media: Sequence[Path], out: Path) -> str:
    """Write `clips.parquet` from the index and the media tables of all shards; returns its md5.

    The measured values of a clip win over those of its header; the first rejection wins over a later one.
    """
    clips = read_frame(CLIPS, index).set_index("clip_id")
    found = pd.concat([read_frame(MEDIA, path) for path in media]).set_index("clip_id")
    missing = sorted(set(clips.index) - set(found.index))
    if missing:
        raise PermanentError(
            f"{len(missing)} clips of the index are in no media shard, first {missing[0]}: "
            "materialize the media of all shards"
        )
    found = found.loc[clips.index]
    for column in _MEASURED:
        clips[column] = found[column].where(found[column].notna(), clips[column])
    late = (clips["status"] == Status.OK) & (found["status"] != Status.OK)
    for column in ("status", "reason", "detail"):
        clips[column] = clips[column].where(~late, found[column])
    frame = clips.reset_index()[list(CLIPS.names)]
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return write_table(CLIPS, rows, out)
