"""The registry of corpus kinds: one line each. Light: every command may import it."""

from __future__ import annotations

from collections.abc import Callable

from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.folder.kind import FOLDER
from magictalk_core.corpora.hdtf.kind import HDTF
from magictalk_core.corpora.kind import CorpusKind
from magictalk_core.corpora.mead.kind import MEAD
from magictalk_core.corpora.records import Corpus
from magictalk_core.corpora.sample.kind import SAMPLE
from magictalk_core.corpora.talkinghead1kh.kind import TALKINGHEAD1KH
from magictalk_core.errors import UserError

__all__ = ["KINDS", "corpus_of", "is_unused", "kind_names", "kind_of"]

KINDS: dict[str, CorpusKind] = {
    "mead": MEAD,
    "hdtf": HDTF,
    "talkinghead1kh": TALKINGHEAD1KH,
    "folder": FOLDER,
    "sample": SAMPLE,
}


def kind_of(entry: CorpusEntry) -> CorpusKind:
    """The record of the corpus's kind. Raises `UserError` naming the kinds that there are."""
    if entry.kind not in KINDS:
        raise UserError(f"`{entry.kind}` is no kind of corpus: expected {kind_names()}")
    return KINDS[entry.kind]


def is_unused(entry: CorpusEntry, path: str) -> bool:
    """Whether nothing reads the file at `path` below the corpus folder, as its name says."""
    return not kind_of(entry).reads(path) and entry.root / path != entry.labels


def kind_names(has: Callable[[CorpusKind], object] = lambda kind: True) -> str:
    """`mead, hdtf`: the kinds of which `has` is true, for messages and help texts."""
    return ", ".join(name for name, kind in KINDS.items() if has(kind))


def corpus_of(entry: CorpusEntry) -> Corpus:
    """The corpus as its kind understands it. Raises `UserError` for what the kind does not have."""
    return kind_of(entry).resolve(entry)
