"""Withdrawing clips, speakers and sources: what is meant, which copies there are, and the signed record of it."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from magictalk_core.corpora.registry import list_corpora
from magictalk_core.corpora.withdrawal_log import LogLine, WithdrawnClip, append_line
from magictalk_core.corpora.withdrawals import Withdrawals, box_of, read_withdrawals
from magictalk_core.errors import UserError
from magictalk_core.preparation.withdrawn import NearSignatures
from magictalk_core.presets.preset import load_preset
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIPS, MEDIA
from magictalk_core.workspace import Workspace

__all__ = ["Found", "Kind", "duplicate_limit", "find_withdrawn", "known_clips", "record_withdrawal", "undo_withdrawal"]

Kind = Literal["clip", "speaker", "source"]

_COLUMNS = (
    "clip_id", "corpus", "shard", "speaker", "source", "raw_path", "raw_audio_path", "raw_md5", "raw_audio_md5",
    "start_s", "end_s", "box_x", "box_y", "box_width", "box_height", "signature", "duration_s", "status", "split",
)  # fmt: skip
_EMPTY = hashlib.md5(b"").hexdigest()
"""Of a file without a byte: all of them are alike, and nobody's copy."""


@dataclass(frozen=True)
class Found:
    """What is to be withdrawn: `names` as `<corpus>/<source>/<clip>`, `<corpus>/<speaker>` or `<corpus>/<source>`, all
    clips with their copies, and the numbers of withdrawals in force that take each of them already."""

    kind: Kind
    names: tuple[str, ...]
    clips: tuple[WithdrawnClip, ...]
    already: tuple[int, ...]


def known_clips(workspace: Workspace) -> pd.DataFrame:
    """The clips of all corpora with what they are known again by: the finished tables, else the indexes.

    Raises `UserError` where no corpus was indexed yet.
    """
    frames = []
    for entry in list_corpora(workspace):
        tables = (workspace.clips_table(entry.name), workspace.index_table(entry.name))
        table = next((path for path in tables if path.is_file()), None)
        if table is not None:
            frames.append(read_frame(CLIPS, table, columns=list(_COLUMNS)))
    if not frames:
        raise UserError(f"no corpus of {workspace.home} is indexed: type `magictalk run` first, then this again")
    clips = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    return clips.where(clips.notna(), None)


def find_withdrawn(workspace: Workspace, kind: Kind, names: Sequence[str]) -> Found:
    """The clips that are named and, from clip to copy, all others that show what they show.

    Copies are the same raw file at the same time in it, and recordings whose signatures are as near as the preset of
    the workspace asks of a duplicate, in any corpus. Raises `UserError` for a name that no clip has.
    """
    withdrawals, clips = read_withdrawals(workspace), known_clips(workspace)
    full, via = [], dict[str, str]()
    for name in names:
        found = _named(clips, kind, name, withdrawals)
        full.append(found.name)
        via |= dict.fromkeys(found.clips, "named")
    rows = {str(row["clip_id"]): row for row in clips.to_dict("records")}
    finder = _Copies(list(rows.values()), duplicate_limit(workspace))
    todo = list(via)
    while todo:
        clip = todo.pop()
        for copy, how in finder.of(rows[clip]):
            if copy not in via:
                via[copy] = f"{how} {clip}"
                todo.append(copy)
    # A clip that is withdrawn already has lost its signature in the tables; the record has it.
    recorded = {clip.clip_id: clip for _, clip in withdrawals.clips()}
    found_clips = tuple(
        recorded[c].model_copy(update={"via": how}) if c in recorded else _known(rows[c], how)
        for c, how in sorted(via.items())
    )
    already = sorted({n for n, line in withdrawals.active.items() if _covers(line, kind, full, found_clips)})
    return Found(kind, tuple(sorted(set(full))), found_clips, tuple(already))


def record_withdrawal(workspace: Workspace, found: Found, by: str, reason: str) -> LogLine:
    """Sign the withdrawal into the record."""
    media = _media_of(workspace, found.clips)
    signed = tuple(
        clip if clip.media_md5 else clip.model_copy(update={"media_md5": media.get(clip.clip_id, ())})
        for clip in found.clips
    )
    return append_line(workspace, by, reason, action="withdraw", kind=found.kind, names=found.names, clips=signed)


def _covers(line: LogLine, kind: Kind, names: Sequence[str], clips: Sequence[WithdrawnClip]) -> bool:
    """Whether a withdrawal takes all these clips and, of a speaker or source, those to come as well."""
    taken = {clip.clip_id for clip in line.clips}
    is_named = kind == "clip" or (line.kind == kind and set(names) <= set(line.names))
    return is_named and all(clip.clip_id in taken for clip in clips) and bool(clips or set(names) <= set(line.names))


def undo_withdrawal(workspace: Workspace, number: int, by: str, reason: str) -> LogLine:
    """Take a withdrawal back. Raises `UserError` where there is none, or a purge of it has begun."""
    withdrawals = read_withdrawals(workspace)
    if number in withdrawals.undone:
        raise UserError(f"withdrawal {number} was undone already: see `magictalk withdraw list`")
    if number not in withdrawals.active:
        known = ", ".join(map(str, withdrawals.active)) or "none"
        raise UserError(f"no withdrawal {number} is in force ({known} are): see `magictalk withdraw list`")
    if number in withdrawals.purging:
        raise UserError(
            f"withdrawal {number} was purged, and what is removed does not come back: where it was a mistake, register "
            "the raw files as another corpus under another name after a talk with whoever withdrew them"
        )
    return append_line(workspace, by, reason, action="undo", of=(number,))


# --- names ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Name:
    """A name with its corpus in front, and the ids of its clips."""

    name: str
    clips: tuple[str, ...]


def _named(clips: pd.DataFrame, kind: Kind, name: str, withdrawals: Withdrawals) -> _Name:
    """Raises `UserError` with near names where no clip is named so and none was ever withdrawn under that name."""
    known = clips["clip_id"] if kind == "clip" else clips["corpus"] + "/" + clips[kind]
    chosen = known == name
    if not chosen.any() and kind != "clip":
        owners = sorted(known[clips[kind] == name].unique())
        if len(owners) > 1:
            raise UserError(f"--{kind} {name}: several corpora have one: say which, {' or '.join(owners)}")
        chosen = known.isin(owners)
    if chosen.any():
        return _Name(str(known[chosen].iloc[0]), tuple(map(str, clips["clip_id"][chosen])))
    # Of what was purged with its raw files no row is left.
    if any(name in line.names for line in withdrawals.active.values() if line.kind == kind):
        return _Name(name, ())
    short = (
        dict(zip(known.str.rsplit("/", n=1).str[-1], known, strict=True)) if kind != "clip" and "/" not in name else {}
    )
    choices = short or dict.fromkeys(known)
    near = [short.get(one, one) for one in difflib.get_close_matches(name, sorted(choices), n=3, cutoff=0.5)]
    hint = f": is it {' or '.join(near)}?" if near else ": see `magictalk corpus list`"
    raise UserError(f"--{kind} {name}: no clip of this workspace has it{hint}")


# --- copies --------------------------------------------------------------------------------------------------------


class _Copies:
    """Finds the clips that show what one clip shows."""

    def __init__(self, rows: Sequence[Mapping[Any, Any]], limit: float) -> None:
        self._limit = limit
        self._files: dict[str, list[Mapping[Any, Any]]] = {}
        for row in rows:
            for md5 in {row["raw_md5"], row["raw_audio_md5"]} - {None, _EMPTY}:
                self._files.setdefault(str(md5), []).append(row)
        self._signed = [row for row in rows if row["signature"]]
        lengths = [float(row["duration_s"]) for row in self._signed]
        self._near = NearSignatures([str(row["signature"]) for row in self._signed], lengths) if lengths else None

    def of(self, row: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
        """(clip id, how it is known) of every copy of a CLIPS row."""
        rule = Withdrawals.of(
            [LogLine(number=1, action="withdraw", time="", by="", reason="", clips=(_known(row, ""),))]
        )
        for md5 in {row["raw_md5"], row["raw_audio_md5"]} - {None, _EMPTY}:
            for other in self._files[str(md5)]:
                if rule.number(other) is not None:
                    yield str(other["clip_id"]), "the same file as"
        if row["signature"] and self._near is not None:
            for place in self._near.like(str(row["signature"]), float(row["duration_s"]), self._limit):
                yield str(self._signed[place]["clip_id"]), "the same recording as"


def _known(row: Mapping[Any, Any], via: str) -> WithdrawnClip:
    names = ("clip_id", "shard", "raw_path", "raw_audio_path", "start_s", "end_s", "signature", "duration_s")
    hashes = {name: None if row[name] == _EMPTY else row[name] for name in ("raw_md5", "raw_audio_md5")}
    return WithdrawnClip(via=via, box=box_of(row), **hashes, **{name: row[name] for name in names})


def _media_of(workspace: Workspace, clips: Sequence[WithdrawnClip]) -> dict[str, tuple[str, ...]]:
    """Clip id -> md5 of its standardized files."""
    found: dict[str, tuple[str, ...]] = {}
    ids = {clip.clip_id for clip in clips}
    for corpus, shard in sorted({(clip.clip_id.split("/")[0], clip.shard) for clip in clips}):
        table = workspace.shard_table(corpus, "media", shard)
        if table.is_file():
            for row in read_frame(MEDIA, table, columns=["clip_id", "video_md5", "audio_md5"]).itertuples():
                if row.clip_id in ids:
                    found[str(row.clip_id)] = tuple(str(md5) for md5 in (row.video_md5, row.audio_md5) if md5)
    return found


def duplicate_limit(workspace: Workspace) -> float:
    """How far the signatures of copies may differ: as the workspace's preset says."""
    preset = load_preset(workspace.preset if workspace.preset.is_file() else "sample")
    return preset.quality.max_duplicate_distance
