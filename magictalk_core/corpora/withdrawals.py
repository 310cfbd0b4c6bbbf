"""Who and what was withdrawn: the rules that every reader of clips asks, from `withdrawal_log`.

A clip is withdrawn by its id, its speaker or its source, and under any other name by the content of its raw file: the
same file, at the same time in it, in the same window. Other encodings are found by signature, where there is one
(`preparation/withdrawn.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magictalk_core.corpora.withdrawal_log import LogLine, WithdrawnClip, read_log
from magictalk_core.storage.hashes import digest_of
from magictalk_core.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Withdrawals", "box_of", "read_withdrawals"]

_SAME_CUT_S = 0.04
"""Cuts that share no more than a frame are neighbours."""

_BOX = ("box_x", "box_y", "box_width", "box_height")


def read_withdrawals(workspace: Workspace) -> Withdrawals:
    """The withdrawals in force. Raises `PermanentError` where their record is damaged."""
    path = workspace.withdrawals
    if not path.is_file():
        read_log(workspace)  # a lost record is an error, not an empty one
        return Withdrawals()
    state = path.stat()
    return _read(workspace.home, state.st_mtime_ns, state.st_size, state.st_ino)


@lru_cache(maxsize=4)
def _read(home: Path, *state: int) -> Withdrawals:
    return Withdrawals.of(read_log(Workspace(home)))


@dataclass(frozen=True)
class Withdrawals:
    """The withdrawals in force, by number, and all that was purged."""

    active: Mapping[int, LogLine] = field(default_factory=dict)
    purging: frozenset[int] = frozenset()
    """Of which a purge has begun: they cannot be undone."""
    purged: frozenset[int] = frozenset()
    objects: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """md5 -> (file, number): removed from DVC's cache and remotes."""
    undone: Mapping[int, LogLine] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Iterable[LogLine]) -> Withdrawals:
        active: dict[int, LogLine] = {}
        undone: dict[int, LogLine] = {}
        begun: set[int] = set()
        purged: set[int] = set()
        objects: dict[str, tuple[str, int]] = {}
        for line in lines:
            if line.action == "withdraw":
                active[line.number] = line
            elif line.action == "undo":
                undone |= {number: active.pop(number) for number in line.of}
            else:
                (begun if line.action == "purge_begun" else purged).update(line.of)
                objects |= {md5: (name, line.of[0]) for md5, name in line.objects.items()}
        by_object = dict(sorted(objects.items()))
        return cls(active, frozenset(begun), frozenset(purged), by_object, undone)

    def why_gone(self, md5: str) -> str | None:
        """Why an object is in no cache and no remote any more, in words; None where no purge took it."""
        if md5 not in self.objects:
            return None
        name, number = self.objects[md5]
        line = self.active[number]
        return (
            f"{name} was removed for good by withdrawal {number} of {line.kind} {', '.join(line.names)} "
            f"({line.time[:10]}, signed by {line.by}): what it held cannot be restored"
        )

    def clips(self) -> Iterator[tuple[int, WithdrawnClip]]:
        """Every clip of a withdrawal in force, with the number of the withdrawal."""
        for number, line in self.active.items():
            for clip in line.clips:
                yield number, clip

    @property
    def ids(self) -> Mapping[str, int]:
        """Clip id -> the first withdrawal that lists it."""
        return self._lists.ids

    @cached_property
    def _lists(self) -> _Lists:
        named: dict[str, dict[str, int]] = {"clip": {}, "speaker": {}, "source": {}}
        files: dict[str, list[tuple[int, WithdrawnClip]]] = {}
        for number, line in self.active.items():
            for name in line.names if line.kind in ("speaker", "source") else ():
                named[str(line.kind)].setdefault(name, number)
        for number, clip in self.clips():
            named["clip"].setdefault(clip.clip_id, number)
            for md5 in {clip.raw_md5, clip.raw_audio_md5} - {None}:
                files.setdefault(str(md5), []).append((number, clip))
        return _Lists(named["clip"], named["speaker"], named["source"], files)

    def named(self, clip_id: str, corpus: str, speaker: str, source: str) -> int | None:
        """The withdrawal that takes a clip by its id, speaker or source."""
        lists = self._lists
        of_speaker, of_source = f"{corpus}/{speaker}", f"{corpus}/{source}"
        return lists.ids.get(clip_id) or lists.speakers.get(of_speaker) or lists.sources.get(of_source)

    def number(self, row: Mapping[str, Any]) -> int | None:
        """The withdrawal that takes the clip of a CLIPS row, or None. Its hashes and cut may be unknown (None)."""
        named = self.named(row["clip_id"], row["corpus"], row["speaker"], row["source"])
        if named is not None:
            return named
        for column in ("raw_md5", "raw_audio_md5"):
            for number, clip in self._lists.files.get(row[column], ()):
                if _same_cut(clip, row) and (column == "raw_audio_md5" or _same_box(clip, row)):
                    return number
        return None

    def concerned(self, clips: pd.DataFrame) -> pd.Series[bool]:
        """Which CLIPS rows `number` may have an answer for, in one look at all of them."""
        lists = self._lists
        speakers, sources = (clips["corpus"] + "/" + clips[name] for name in ("speaker", "source"))
        named = clips["clip_id"].isin(lists.ids) | speakers.isin(lists.speakers) | sources.isin(lists.sources)
        return named | clips["raw_md5"].isin(lists.files) | clips["raw_audio_md5"].isin(lists.files)

    def whole_file(self, md5: str) -> int | None:
        """The withdrawal of a clip that is this whole raw file, whatever is cut from it."""
        found = (n for n, clip in self._lists.files.get(md5, ()) if _is_whole(clip) and clip.raw_md5 == md5)
        return next(found, None)

    def settings(self) -> dict[str, list[int]]:
        """What work that reads clips depends on beside them: the numbers of the withdrawals in force; empty for none.

        A number stands for its line, which never changes.
        """
        return {"withdrawals": sorted(self.active)} if self.active else {}

    def digest(self, corpus: str, md5s: Iterable[str]) -> str | None:
        """Identity of what may concern a corpus with raw files `md5s`; None where nothing does."""
        lists, prefix = self._lists, f"{corpus}/"
        named = {
            kind: sorted(name for name in names if name.startswith(prefix))
            for kind, names in (("clips", lists.ids), ("speakers", lists.speakers), ("sources", lists.sources))
        }
        files = sorted(lists.files.keys() & set(md5s))
        if not files and not any(named.values()):
            return None
        cuts = [[_cut_text(clip) for _, clip in lists.files[md5]] for md5 in files]
        return digest_of({**named, "files": files, "cuts": cuts})


@dataclass(frozen=True)
class _Lists:
    """What the rules look up."""

    ids: Mapping[str, int]
    speakers: Mapping[str, int]
    sources: Mapping[str, int]
    files: Mapping[str, list[tuple[int, WithdrawnClip]]]


def _cut_text(clip: WithdrawnClip) -> str:
    return f"{clip.start_s} {clip.end_s} {clip.box}"


def _is_whole(clip: WithdrawnClip) -> bool:
    return clip.start_s is None and clip.end_s is None and clip.box is None


def _same_cut(clip: WithdrawnClip, row: Mapping[str, Any]) -> bool:
    start = max(clip.start_s or 0.0, row["start_s"] or 0.0)
    ends = [end for end in (clip.end_s, row["end_s"]) if end is not None]
    return not ends or min(ends) - start > _SAME_CUT_S


def box_of(row: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    """The corpus's own window of a CLIPS row: x, y, width, height."""
    if row["box_x"] is None:
        return None
    x, y, width, height = (int(row[name]) for name in _BOX)
    return x, y, width, height


def _same_box(clip: WithdrawnClip, row: Mapping[str, Any]) -> bool:
    """Whether the two windows show one face: half of the smaller one lies in the other."""
    box = box_of(row)
    if clip.box is None or box is None:
        return True
    (ax, ay, aw, ah), (bx, by, bw, bh) = clip.box, box
    width = min(ax + aw, bx + bw) - max(ax, bx)
    height = min(ay + ah, by + bh) - max(ay, by)
    return width > 0 and height > 0 and width * height * 2 >= min(aw * ah, bw * bh)
