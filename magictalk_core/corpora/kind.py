"""The record of a corpus kind: everything that the rest of the project asks about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from magictalk_core.corpora.entry import AUTO_SPLIT, UNKNOWN_LICENCE, CorpusEntry
from magictalk_core.corpora.findings import Findings
from magictalk_core.corpora.records import ClipSource, Corpus, Recording
from magictalk_core.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CorpusKind"]

ALL_VIEWS = "all"


@dataclass(frozen=True)
class CorpusKind:
    """A layout of raw clips on disk, and what is known about corpora of that layout.

    Paths are posix and relative to the corpus folder; those of unpacked and fetched files begin with `@local/`.
    """

    name: str
    """What `--kind` takes."""

    summary: str
    """What it is, in a few words, for help texts."""

    suffixes: frozenset[str]
    """Of the raw files, lower case, with the dot: a change of one of these makes the corpus stale."""

    find_clips: Callable[[Corpus, Sequence[str]], list[ClipSource]]
    """The clips, from the paths of the raw files. Media are not opened; lists and labels are."""

    check: Callable[[Corpus, Mapping[str, int]], Findings]
    """What should be here against what is, from path -> bytes of all files. What is wrong is in the findings."""

    licence: str
    """Of the raw clips, where the user states none: one line, for tables."""

    terms: str
    """What may be done with the raw clips and what follows from them: a sentence or two, for cards."""

    obligations: tuple[str, ...]
    """The same for machines, a few words each: they hold for every model that learned from such clips."""

    splits: tuple[str, ...]
    """Names of the split schemes that `find_clips` knows; the first is the usual one."""

    buckets: int | None
    """The usual number of shards, over which source videos are spread; None: every speaker is a shard."""

    files_per_bucket: int | None = None
    """Of a kind that may be of any size: more shards than usual are made where there are more files than so many for
    each, 5 to 30 minutes of work; None: its size is known."""

    views: tuple[str, ...] = ()
    """Camera views to choose from, the usual one first; empty: there is nothing to choose."""

    takes_labels: bool = False
    """Whether labels may come from a CSV file of the user, because paths and lists hold none."""

    is_synthetic: bool = False
    """Whether the clips are made by a program, not filmed, where the user does not say."""

    companions: frozenset[str] = frozenset()
    """Suffixes of files that lie beside the clips and are read by others than `find_clips`, as its check."""

    archives: re.Pattern[str] | None = None
    """File names of the archives that it is published as; None: it is not published as archives."""

    wanted: Callable[[Corpus, Sequence[str]], list[Recording]] | None = None
    """The published recordings that its lists name and of which something is missing; None: it has no such lists."""

    true_curves: Callable[[Corpus], pd.DataFrame] | None = None
    """The curves that animated the clips: clip_id, frame_index (25 per second) and MOTION_NAMES; None: nobody knows."""

    phonemes: Callable[[Corpus], pd.DataFrame] | None = None
    """What is said when: clip_id, symbol, start_s, end_s, in seconds of the clip; None: nobody knows."""

    def reads(self, path: str) -> bool:
        """Whether a file of this name is looked at by anything."""
        name = PurePosixPath(path)
        is_archive = self.archives is not None and self.archives.fullmatch(name.name) is not None
        return is_archive or name.suffix.lower() in self.suffixes | self.companions

    def resolve(self, entry: CorpusEntry) -> Corpus:
        """The corpus with the kind's usual values where the user said nothing.

        Raises `UserError` naming what this kind does not have.
        """
        if refusal := self._refusal(entry):
            raise UserError(refusal)
        views = self.views if ALL_VIEWS in entry.views else entry.views
        return Corpus(
            name=entry.name,
            root=entry.root,
            licence=self.licence if entry.licence == UNKNOWN_LICENCE else entry.licence,
            split=self.splits[0] if entry.split == AUTO_SPLIT else entry.split,
            buckets=None if self.buckets is None else entry.buckets or self.buckets,
            is_synthetic=self.is_synthetic if entry.synthetic is None else entry.synthetic,
            views=views or self.views[:1],
            labels=entry.labels,
        )

    def _refusal(self, entry: CorpusEntry) -> str | None:
        if entry.split not in (AUTO_SPLIT, *self.splits):
            return f"kind {self.name} has no split `{entry.split}`: expected {', '.join((AUTO_SPLIT, *self.splits))}"
        if entry.labels is not None and not self.takes_labels:
            return f"labels are for kinds that have none of their own; {self.name} has them in its paths or lists"
        if entry.buckets is not None and self.buckets is None:
            return f"the shards of kind {self.name} are its speakers: leave out buckets"
        if entry.views and not self.views:
            return f"kind {self.name} has no camera views to choose from: leave out views"
        unknown = [view for view in entry.views if view not in (*self.views, ALL_VIEWS)]
        if unknown:
            return f"kind {self.name} has no view `{unknown[0]}`: expected {', '.join((*self.views, ALL_VIEWS))}"
        return None
