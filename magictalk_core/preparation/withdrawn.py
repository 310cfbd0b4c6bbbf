"""Withdrawn clips in the tables of a corpus: what is left of a row, and recordings known again by their signature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from magictalk_core.corpora.withdrawals import Withdrawals, read_withdrawals
from magictalk_core.media.signature import signature_distance
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIPS, MEDIA
from magictalk_core.vocabulary.clips import Reason, Status
from magictalk_core.workspace import Workspace

__all__ = [
    "NearSignatures",
    "current_clips",
    "media_tombstone",
    "near_withdrawn",
    "tombstone",
    "withdrawal_of",
    "withdrawn_among",
    "withdrawn_places",
]

_DURATION_S = 0.5
"""As in `near_pairs`: clips whose lengths differ by more are not the same cut."""

_SAID = "withdrawal {}"

_KEPT = (
    "clip_id", "corpus", "shard", "speaker", "source", "licence", "split",
    "raw_path", "raw_md5", "raw_audio_path", "raw_audio_md5", "start_s", "end_s",
)  # fmt: skip
_ASKED = (*_KEPT, "box_x", "box_y", "box_width", "box_height")


def tombstone(row: Mapping[Any, Any], number: int) -> dict[str, Any]:
    """What a CLIPS row keeps of a withdrawn clip: its name and its file, no label and nothing measured."""
    kept: dict[str, Any] = dict.fromkeys(CLIPS.names) | {name: row[name] for name in _KEPT}
    return kept | {"status": str(Status.WITHDRAWN), "reason": str(Reason.WITHDRAWN), "detail": _SAID.format(number)}


def media_tombstone(clip_id: str, number: int) -> dict[str, Any]:
    """The MEDIA row of a clip that was known again after decoding."""
    said = {"status": str(Status.REJECTED), "reason": str(Reason.WITHDRAWN), "detail": _SAID.format(number)}
    return dict.fromkeys(MEDIA.names) | {"clip_id": clip_id} | said


def withdrawal_of(row: Mapping[Any, Any]) -> int:
    """The withdrawal that a row of either kind names."""
    return int(str(row["detail"]).removeprefix(_SAID.format("")))


class NearSignatures:
    """Signatures with their lengths, sorted so that one is compared with those of like length alone."""

    def __init__(self, signatures: Sequence[str], lengths: Sequence[float]) -> None:
        self._order = np.argsort(np.asarray(lengths, float), kind="stable")
        self._lengths = np.asarray(lengths, float)[self._order]
        self._texts = [signatures[i] for i in self._order]
        parts = [text.split(":") for text in self._texts]
        self._words = tuple(_words([part[side] for part in parts]) for side in (0, 1))
        self._there = tuple(np.array([bool(part[side]) for part in parts], bool) for side in (0, 1))

    def like(self, signature: str, length: float, limit: float) -> list[int]:
        """Places of those that show the recording of `signature`: at most the share `limit` of its bits differ."""
        first, last = np.searchsorted(self._lengths, [length - _DURATION_S, length + _DURATION_S + 1e-9])
        near = np.zeros(last - first, bool)
        for part, words, there in zip(signature.split(":"), self._words, self._there, strict=True):
            if part and last > first:
                own = _words([part])
                bits = np.bitwise_count(words[first:last] ^ own).sum(axis=1, dtype=np.int64)
                near |= there[first:last] & (bits <= limit * len(part) * 4)
        places = (int(place) for place in first + np.flatnonzero(near))
        return [int(self._order[p]) for p in places if signature_distance(signature, self._texts[p]) <= limit]


def _words(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Hexadecimal texts as rows of 64-bit words; an empty one is zeros."""
    width = max(map(len, texts), default=0) or 16
    data = bytes.fromhex("".join(text or "0" * width for text in texts))
    return np.frombuffer(data, np.uint64).reshape(len(texts), -1)


def near_withdrawn(rows: Sequence[Mapping[Any, Any]], withdrawals: Withdrawals, limit: float) -> dict[str, int]:
    """Clip id -> withdrawal, of the rows (with `signature` and `duration_s`) that show a withdrawn recording."""
    signed = [row for row in rows if row.get("signature")]
    known = [(number, clip) for number, clip in withdrawals.clips() if clip.signature and clip.duration_s is not None]
    if not signed or not known:
        return {}
    near = NearSignatures([row["signature"] for row in signed], [row["duration_s"] for row in signed])
    found: dict[str, int] = {}
    for number, clip in known:
        for place in near.like(str(clip.signature), float(clip.duration_s or 0.0), limit):
            found.setdefault(str(signed[place]["clip_id"]), number)
    return found


def current_clips(workspace: Workspace, corpus: str) -> pd.DataFrame:
    """The finished clip table, in which what was withdrawn since it was written is withdrawn already."""
    clips = read_frame(CLIPS, workspace.clips_table(corpus))
    withdrawals = read_withdrawals(workspace)
    if not withdrawals.active:
        return clips
    numbers = withdrawn_places(clips, withdrawals)
    places = list(numbers)
    clips.loc[places, "status"], clips.loc[places, "reason"] = str(Status.WITHDRAWN), str(Reason.WITHDRAWN)
    clips.loc[places, "detail"] = [_SAID.format(number) for number in numbers.values()]
    return clips


def withdrawn_places(clips: pd.DataFrame, withdrawals: Withdrawals) -> dict[Any, int]:
    """Index label -> withdrawal, of the CLIPS rows that are withdrawn by name or by the content of their file."""
    asked = clips.loc[withdrawals.concerned(clips), list(_ASKED)].astype(object)
    rows = asked.where(asked.notna(), None).to_dict("records")
    numbers = (
        (place, withdrawals.number({str(k): v for k, v in row.items()}))
        for place, row in zip(asked.index, rows, strict=True)
    )
    return {place: number for place, number in numbers if number is not None}


def withdrawn_among(workspace: Workspace, clip_ids: Iterable[str], limit: float) -> list[str]:
    """What is withdrawn among the clips of an output, in words: by name, by file, by signature; empty in a sound one.

    The rows are those of the finished clip tables: a clip that they know nothing of counts by its name alone.
    """
    withdrawals, packed = read_withdrawals(workspace), set(clip_ids)
    if not withdrawals.active:
        return []
    problems = {clip: f"{clip}: {_SAID.format(withdrawals.ids[clip])}" for clip in packed & withdrawals.ids.keys()}
    for corpus in sorted({clip.split("/")[0] for clip in packed}):
        clips = read_frame(CLIPS, workspace.clips_table(corpus))
        clips = clips[clips["clip_id"].isin(packed)].astype(object)
        rows = clips.where(clips.notna(), None).to_dict("records")
        near = near_withdrawn(rows, withdrawals, limit)
        for row in rows:
            number = withdrawals.number({str(name): value for name, value in row.items()})
            how = "by name or file" if number is not None else "the same recording"
            number = number or near.get(row["clip_id"])
            if number is not None:
                problems.setdefault(row["clip_id"], f"{row['clip_id']}: {_SAID.format(number)}, {how}")
    return [problems[clip] for clip in sorted(problems)]
