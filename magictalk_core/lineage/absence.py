"""The proof that withdrawn clips are gone: every file by name and hash, every recording by signature."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magictalk_core.corpora.registry import list_corpora
from magictalk_core.corpora.withdrawal_log import WithdrawnClip
from magictalk_core.corpora.withdrawals import Withdrawals, read_withdrawals
from magictalk_core.lineage.affected import files_of_home, holds_clips, kind_of_output
from magictalk_core.lineage.content import ClipFinder
from magictalk_core.lineage.dvc_objects import DvcObjects
from magictalk_core.lineage.purge_store import cache_pieces, media_files
from magictalk_core.lineage.raw_left import RawLeft, raw_left
from magictalk_core.preparation.withdrawn import near_withdrawn
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIPS, MEDIA
from magictalk_core.vocabulary.clips import Status
from magictalk_core.workspace import Workspace

__all__ = ["Absence", "Trace", "verify_absence"]

_THREADS = 4


@dataclass(frozen=True)
class Trace:
    """Something of withdrawn clips that is still there. `how`: by `name`, `hash` or `signature`; `awaits_purge`: it is
    what a withdrawal keeps until it is purged, so that it can be undone."""

    kind: str
    name: str
    how: str
    awaits_purge: bool
    detail: str


@dataclass(frozen=True)
class Absence:
    """`searched`: files, bytes, pieces, DVC objects and signatures that were looked at; `raw`: files of the user, which
    are named and are no trace."""

    traces: tuple[Trace, ...]
    raw: tuple[RawLeft, ...]
    searched: dict[str, int]

    @property
    def is_proven(self) -> bool:
        """Whether nothing is there that should not be."""
        return all(trace.awaits_purge for trace in self.traces)


def verify_absence(workspace: Workspace, limit: float) -> Absence:
    """Search for every withdrawal in force. Of purged ones nothing may be left; of the others nothing may be in use:
    no accepted row, training set, dataset, or table and video made from their clips."""
    withdrawals = read_withdrawals(workspace)
    purged = {clip.clip_id for number, clip in withdrawals.clips() if number in withdrawals.purged}
    clips = {clip.clip_id: clip for _, clip in withdrawals.clips()}
    search = _Search(workspace, withdrawals, clips, purged, {})
    traces = [*search.names(), *search.hashes(), *search.signatures(limit), *search.pieces(), *search.objects()]
    raw = raw_left(workspace, list(clips.values())) if clips else []
    return Absence(tuple(traces), tuple(one for one in raw if one.exists), search.searched)


@dataclass
class _Search:
    workspace: Workspace
    withdrawals: Withdrawals
    clips: dict[str, WithdrawnClip]
    purged: set[str]
    searched: dict[str, int]

    def __post_init__(self) -> None:
        self.finder = ClipFinder(self.clips)

    def _trace(self, kind: str, path: Path, how: str, ids: Iterable[str], kept: bool) -> Trace:
        found = sorted(ids)
        name = (
            path.relative_to(self.workspace.home).as_posix() if path.is_relative_to(self.workspace.home) else str(path)
        )
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        return Trace(kind, name, how, kept and not self.purged & set(found), f"{found[0]}{more}")

    def names(self) -> Iterator[Trace]:
        """Outputs that name the clips. Rows of a shard wait for its next run; a model that was trained is marked."""
        files = list(files_of_home(self.workspace))
        self.searched["files"] = len(files)
        for path in files:
            if ids := holds_clips(self.workspace, path, self.finder):
                kind = kind_of_output(self.workspace, path)[0]
                yield self._trace(kind, path, "name", ids, kept=kind in ("corpus table", "style bank"))

    def hashes(self) -> Iterator[Trace]:
        """Files of any name whose content is that of a raw or standardized file of the clips."""
        owners = {
            md5: clip
            for clip in self.clips.values()
            for md5 in (clip.raw_md5, clip.raw_audio_md5, *clip.media_md5)
            if md5 is not None
        }
        cache = [path for path in (self.workspace.home / "cache").rglob("*") if path.is_file()]
        files = [*files_of_home(self.workspace), *cache]
        self.searched["hashed"] = len(files)
        known = set()
        with ThreadPoolExecutor(_THREADS) as pool:
            for path, md5 in zip(files, pool.map(file_md5, files), strict=True):
                if md5 in owners:
                    known.add(path)
                    kind = kind_of_output(self.workspace, path)[0]
                    yield self._trace(kind, path, "hash", [owners[md5].clip_id], kept=kind in ("media", "raw file"))
        for path in sorted(set(media_files(self.workspace, list(self.clips.values()))) - known):
            yield self._trace("media", path, "name", [path.name], kept=not self.purged)

    def signatures(self, limit: float) -> Iterator[Trace]:
        """Rows of clips that show a withdrawn recording under another name."""
        tables = [(path, spec) for entry in list_corpora(self.workspace) for path, spec in self._tables(entry.name)]
        count = 0
        for path, spec in tables:
            frame = read_frame(spec, path, columns=["clip_id", "signature", "duration_s", "status"]).astype(object)
            frame = frame[frame["signature"].notna() & (frame["status"] != Status.WITHDRAWN)]
            count += len(frame)
            near = near_withdrawn(frame.to_dict("records"), self.withdrawals, limit)
            if near:
                yield self._trace("corpus table", path, "signature", near, kept=self._is_listed(near))
        pieces = [json.loads(p.read_text(encoding="utf-8")) for p in self.workspace.cache("media").rglob("*.json")]
        count += len(pieces)
        near = near_withdrawn(pieces, self.withdrawals, limit)
        if near:
            yield self._trace("cache", self.workspace.cache("media"), "signature", near, kept=self._is_listed(near))
        self.searched["signatures"] = count

    def _is_listed(self, near: Iterable[str]) -> bool:
        return set(near) <= self.clips.keys()

    def _tables(self, corpus: str) -> Iterator[tuple[Path, Any]]:
        if self.workspace.clips_table(corpus).is_file():
            yield self.workspace.clips_table(corpus), CLIPS
        for path in sorted((self.workspace.dataset(corpus) / "media").glob("*.parquet")):
            yield path, MEDIA

    def pieces(self) -> Iterator[Trace]:
        """Pieces of the cache, whatever made them."""
        found = cache_pieces(self.workspace, self.finder)
        for path in found:
            yield self._trace("cache", path, "name", self.finder.in_file(path) or [path.name], kept=True)

    def objects(self) -> Iterator[Trace]:
        """Objects in DVC's cache and remotes."""
        hashes = frozenset(md5 for clip in self.clips.values() for md5 in clip.media_md5)
        objects = DvcObjects(self.workspace.home)
        with objects.stores() as stores:
            for store in stores:
                self.searched["objects"] = self.searched.get("objects", 0) + len(store.md5s())
                for md5, name in objects.holding(store, self.finder, hashes).items():
                    yield Trace("snapshot", f"DVC {store.name} {md5}", "name", not self.purged, name)
