"""What a corpus should hold against what is here, from its lists and file names alone: nothing is opened or hashed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from magictalk_core.corpora.folder import clips as folder
from magictalk_core.corpora.hdtf.check import hdtf_findings
from magictalk_core.corpora.list_files import Findings, Problem
from magictalk_core.corpora.mead.check import mead_findings
from magictalk_core.corpora.mead.clips import find_clips as find_mead_like_clips
from magictalk_core.corpora.records import ClipSource
from magictalk_core.corpora.registry import CorpusEntry
from magictalk_core.corpora.source import AUDIO_SUFFIXES, LOCAL, VIDEO_SUFFIXES
from magictalk_core.corpora.talkinghead1kh.check import talkinghead_findings
from magictalk_core.errors import MagicTalkError, UserError
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIPS
from magictalk_core.workspace import Workspace

__all__ = ["CorpusCheck", "Found", "FunnelRow", "check_corpus", "scan_files"]


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
    files = scan_files(entry.root, workspace.local_media(entry.name))
    findings = _FINDINGS[entry.kind](entry, files)
    funnel, source, problems = _funnel(workspace, entry.name)
    return CorpusCheck(
        corpus=entry.name,
        kind=entry.kind,
        root=str(entry.root),
        facts=findings.facts,
        tables=findings.tables,
        problems=(*findings.problems, *problems),
        found=_found(files),
        funnel=funnel,
        funnel_from=source,
    )


def scan_files(root: Path, local: Path) -> dict[str, int]:
    """Path -> bytes of every file below `root` and, under the prefix `@local/`, below `local`.

    As in the listing of the source, hidden files and linked folders are left out, and so are names that are no UTF-8.
    """
    found = dict(_scan(root, ""))
    if local.is_dir():
        found.update(_scan(local, LOCAL))
    return dict(sorted(found.items()))


def _scan(root: Path, prefix: str) -> Iterator[tuple[str, int]]:
    folders = [(str(root), prefix)]
    while folders:
        path, below = folders.pop()
        with os.scandir(path) as entries:
            for found in entries:
                if found.name.startswith("."):
                    continue
                if found.is_dir(follow_symlinks=False):
                    folders.append((found.path, f"{below}{found.name}/"))
                elif found.is_file() and _is_utf8(found.name):
                    yield f"{below}{found.name}", found.stat().st_size


def _is_utf8(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


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


def _folder_findings(entry: CorpusEntry, files: Mapping[str, int]) -> Findings:
    """Counts for corpora without an official list; of a labels file, whether it can be read."""
    source = pd.DataFrame({"path": [path for path in files if PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES]})
    if entry.kind == "sample":
        both = [path for path in files if PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES | AUDIO_SUFFIXES]
        return _counts(find_mead_like_clips(entry, pd.DataFrame({"path": both})), [])
    try:
        return _counts(folder.find_clips(entry, source), [])
    except UserError as error:
        without = entry.model_copy(update={"labels": None})
        problem = Problem("labels", str(entry.labels), f"{error}; counted without labels")
        return _counts(folder.find_clips(without, source), [problem])


def _counts(clips: list[ClipSource], problems: list[Problem]) -> Findings:
    facts = {
        "clips": len(clips),
        "speakers": len({clip.speaker for clip in clips}),
        "clips_without_emotion": sum(clip.emotion is None for clip in clips),
    }
    tables = {}
    for name in ("emotion", "split", "licence"):
        counts = Counter(str(getattr(clip, name) or "none") for clip in clips)
        tables[f"clips by {name}"] = [{name: value, "clips": n} for value, n in sorted(counts.items())]
    return Findings(facts, tables, problems)


_FINDINGS: dict[str, Callable[[CorpusEntry, Mapping[str, int]], Findings]] = {
    "hdtf": hdtf_findings,
    "talkinghead1kh": talkinghead_findings,
    "mead": mead_findings,
    "folder": _folder_findings,
    "sample": _folder_findings,
}
