"""What a corpus should hold against what is here, from its lists and file names alone: nothing is opened or hashed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.findings import Problem, problem_of_unused
from magictalk_core.corpora.kinds import corpus_of, is_unused, kind_of
from magictalk_core.corpora.raw_files import AUDIO_SUFFIXES, HIDDEN, LOCAL, VIDEO_SUFFIXES, LeftOut, scan_corpus
from magictalk_core.errors import MagicTalkError, UserError
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIPS
from magictalk_core.workspace import Workspace

__all__ = ["CorpusCheck", "Found", "FunnelRow", "check_corpus"]


@dataclass(frozen=True)
class Found:
    """Files below the root and in the workspace's own folder of the corpus; sizes in bytes. `local_files`: how many of
    them this project fetched or unpacked."""

    files: int
    bytes: int
    videos: int
    video_bytes: int
    audio_files: int
    audio_bytes: int
    empty_media: int
    local_files: int


@dataclass(frozen=True)
class FunnelRow:
    """Clips of one status and reason in the clip table; `hours` of those whose length is known."""

    status: str
    reason: str | None
    clips: int
    hours: float
    without_length: int


@dataclass(frozen=True)
class CorpusCheck:
    """The result of `check_corpus`. `facts` and `tables` depend on the kind of the corpus; `funnel` is empty before the
    corpus is indexed, and `funnel_from` says which table it counts (index: nothing is decoded yet)."""

    corpus: str
    kind: str
    root: str
    facts: dict[str, Any]
    tables: dict[str, list[dict[str, Any]]]
    problems: tuple[Problem, ...]
    found: Found
    funnel: tuple[FunnelRow, ...]
    funnel_from: str | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def check_corpus(workspace: Workspace, entry: CorpusEntry) -> CorpusCheck:
    """Compare lists, names and sizes, and count the clip table where there is one.

    What is wrong with the data is in the result. Raises `UserError` where the root folder is not there.
    """
    if not entry.root.is_dir():
        raise UserError(f"corpus `{entry.name}`: its folder {entry.root} is not there: is the disk mounted?")
    listed, left_out = scan_corpus(entry.root, workspace.local_media(entry.name))
    files = {file.path: file.bytes for file in listed}
    findings = kind_of(entry).check(corpus_of(entry), files)
    funnel, source, problems = _funnel(workspace, entry.name)
    return CorpusCheck(
        corpus=entry.name,
        kind=entry.kind,
        root=str(entry.root),
        facts=findings.facts,
        tables=findings.tables,
        problems=(*findings.problems, *_not_taken(entry, files, left_out), *problems),
        found=_found(files),
        funnel=funnel,
        funnel_from=source,
    )


def _not_taken(entry: CorpusEntry, files: Mapping[str, int], left_out: Sequence[LeftOut]) -> Iterator[Problem]:
    """Every file of the corpus folder that nothing reads; faults of links and names one by one."""
    yield from (Problem(one.why, one.path, one.what) for one in left_out if one.why != HIDDEN)
    unused = [path for path in files if not path.startswith(LOCAL) and is_unused(entry, path)]
    if unused:
        yield problem_of_unused(unused, "no file of these kinds is read")
    hidden = [one.path for one in left_out if one.why == HIDDEN and not one.path.startswith(LOCAL)]
    if hidden:
        yield problem_of_unused(hidden, "hidden files and folders are not looked at")


def _found(files: Mapping[str, int]) -> Found:
    suffixes = {path: os.path.splitext(path)[1].lower() for path in files}
    videos = [size for path, size in files.items() if suffixes[path] in VIDEO_SUFFIXES]
    audio = [size for path, size in files.items() if suffixes[path] in AUDIO_SUFFIXES]
    return Found(
        files=len(files),
        bytes=sum(files.values()),
        videos=len(videos),
        video_bytes=sum(videos),
        audio_files=len(audio),
        audio_bytes=sum(audio),
        empty_media=sum(size == 0 for size in (*videos, *audio)),
        local_files=sum(path.startswith(LOCAL) for path in files),
    )


def _funnel(workspace: Workspace, corpus: str) -> tuple[tuple[FunnelRow, ...], str | None, list[Problem]]:
    for table, name in ((workspace.clips_table(corpus), "clips"), (workspace.index_table(corpus), "index")):
        if not table.is_file():
            continue
        try:
            clips = read_frame(CLIPS, table, columns=["status", "reason", "duration_s"])
        except (MagicTalkError, OSError, ValueError) as error:
            return (), None, [Problem("unusable_table", str(table), str(error))]
        return tuple(_funnel_rows(clips)), name, []
    return (), None, []


def _funnel_rows(clips: pd.DataFrame) -> Iterator[FunnelRow]:
    for (status, reason), group in clips.groupby(["status", "reason"], dropna=False, observed=True, sort=True):
        lengths = group["duration_s"]
        yield FunnelRow(
            str(status),
            str(reason) if isinstance(reason, str) else None,
            len(group),
            round(float(lengths.sum()) / 3600, 4),
            int(lengths.isna().sum()),
        )
