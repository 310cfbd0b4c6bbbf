"""The finished clip table of a corpus: the index joined with what standardizing measured, and the decisions on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from magictalk_core.config import QualityConfig
from magictalk_core.corpora.withdrawals import Withdrawals
from magictalk_core.errors import PermanentError
from magictalk_core.preparation.duplicates import find_duplicates
from magictalk_core.preparation.gates import Rejection, decide
from magictalk_core.preparation.withdrawn import near_withdrawn, tombstone, withdrawal_of
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLIPS, MEASURED, MEDIA
from magictalk_core.vocabulary.clips import Reason, Status
from magictalk_core.work.clip_steps import failed_clips

__all__ = ["complete_clips"]


def complete_clips(
    index: Path,
    media: Sequence[Path],
    quality: QualityConfig,
    out: Path,
    tracked: Sequence[Path] = (),
    heard: Sequence[Path] = (),
    withdrawals: Withdrawals | None = None,
) -> str:
    """Write `clips.parquet` from the index and the shards' tables of media, blendshapes (`tracked`) and speech
    (`heard`); returns its md5.

    The measured values of a clip win over those of its header. A clip's reason is the first of: what its header said,
    why it could not be decoded, the quality gates, a crash of its tracking or speech features, a near duplicate of
    another clip. Before all of them it is withdrawn: in the index, or as a recording of `withdrawals` by its signature.
    """
    clips = read_frame(CLIPS, index).set_index("clip_id", drop=False)
    found = pd.concat([read_frame(MEDIA, path) for path in media]) if media else _nothing()
    found = found.set_index("clip_id")
    missing = sorted(set(clips.index[clips["status"] == Status.OK]) - set(found.index))
    if missing:
        raise PermanentError(
            f"{len(missing)} clips of the index are in no media shard, first {missing[0]}: "
            "materialize the media of all shards"
        )
    found = found.reindex(clips.index)
    for column in MEASURED:
        clips[column] = found[column].where(found[column].notna(), clips[column])
    frame = clips.reset_index(drop=True)
    # Of an accepted clip, what is unusual about how its file was read.
    frame["detail"] = frame["detail"].where(frame["status"] != Status.OK, found["detail"].to_numpy())
    rows: list[dict[Any, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    late = found[found["status"].isin([str(Status.REJECTED)])]
    undecodable = {
        str(k): (Reason(r), str(d)) for k, r, d in zip(late.index, late["reason"], late["detail"], strict=True)
    }
    gone = near_withdrawn(rows, withdrawals or Withdrawals(), quality.max_duplicate_distance)
    known_again = found[found["reason"] == Reason.WITHDRAWN]
    gone |= {str(clip): withdrawal_of(row) for clip, row in known_again.to_dict("index").items()}
    rows = [tombstone(row, gone[row["clip_id"]]) if row["clip_id"] in gone else row for row in rows]
    crashed = _crashed(heard, Reason.SPEECH_FAILED) | _crashed(tracked, Reason.TRACKING_FAILED)
    for row in rows:
        if row["status"] == Status.OK:
            clip = row["clip_id"]
            _reject(row, undecodable.get(clip) or decide(row, quality) or crashed.get(clip))
    for row, original in find_duplicates([r for r in rows if r["status"] == Status.OK], quality):
        _reject(row, (Reason.DUPLICATE, f"same recording as {original['clip_id']}"))
    return write_table(CLIPS, rows, out)


def _crashed(shards: Sequence[Path], reason: Reason) -> dict[str, Rejection]:
    return {clip: (reason, detail) for shard in shards for clip, detail in failed_clips(shard).items()}


def _nothing() -> pd.DataFrame:
    """MEDIA without a row, for a corpus of which nothing is here."""
    frame: pd.DataFrame = MEDIA.schema().empty_table().to_pandas()
    return frame


def _reject(row: dict[Any, Any], rejection: Rejection | None) -> None:
    if rejection is not None:
        row |= {"status": str(Status.REJECTED), "reason": str(rejection[0]), "detail": rejection[1]}
