"""What may be done with a model: the licences of the clips that it learned from, and what they oblige to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from magictalk_core.corpora.entry import UNKNOWN_LICENCE
from magictalk_core.corpora.kinds import corpus_of, kind_of
from magictalk_core.corpora.registry import list_corpora
from magictalk_core.lineage.clip_index import ClipIndex
from magictalk_core.lineage.registry import Registry
from magictalk_core.work.provenance import Provenance

__all__ = ["CorpusTerms", "ModelTerms", "terms_of_models"]


@dataclass(frozen=True)
class CorpusTerms:
    """Clips of one corpus behind a model: by licence, and what its kind says of them."""

    corpus: str
    kind: str
    clips: int
    licences: Mapping[str, int]
    terms: str
    obligations: tuple[str, ...]
    is_synthetic: bool


@dataclass(frozen=True)
class ModelTerms:
    """A model and all that follows from the clips behind it and behind the models that it learned from."""

    name: str
    md5: str
    corpora: tuple[CorpusTerms, ...]

    @property
    def obligations(self) -> tuple[str, ...]:
        return tuple(sorted({one for corpus in self.corpora for one in corpus.obligations}))

    @property
    def is_synthetic(self) -> bool:
        return all(corpus.is_synthetic for corpus in self.corpora)


def terms_of_models(registry: Registry, clips: ClipIndex) -> list[ModelTerms]:
    """Of every model in the workspace, by name."""
    entries = {entry.name: entry for entry in list_corpora(registry.workspace)}
    found = []
    models = [record for record in registry.current.values() if record.kind == "model"]
    for model in sorted(models, key=lambda record: record.name):
        rows = clips.of_ids(_learned_clips(registry, model))
        corpora = []
        for corpus, own in rows.groupby("corpus", observed=True, sort=True):
            entry = entries[str(corpus)]
            kind = kind_of(entry)
            licences = own["licence"].astype(str).value_counts().sort_index()
            corpora.append(
                CorpusTerms(
                    str(corpus), kind.name, len(own), {str(k): int(n) for k, n in licences.items()}, kind.terms,
                    _obligations(kind.obligations, licences.index), corpus_of(entry).is_synthetic,
                )
            )  # fmt: skip
        found.append(ModelTerms(model.name, model.md5, tuple(corpora)))
    return found


_NON_COMMERCIAL = re.compile(r"non-?\s?commercial|\bNC\b", re.IGNORECASE)


def _obligations(of_kind: Sequence[str], licences: Iterable[str]) -> tuple[str, ...]:
    """Those of the kind, and what the licence says that the user stated."""
    found = set(of_kind)
    for licence in licences:
        if licence == UNKNOWN_LICENCE:
            found.add("licence unknown: ask the owner")
        elif _NON_COMMERCIAL.search(licence):
            found.add("non-commercial")
    return tuple(sorted(found))


def _learned_clips(registry: Registry, model: Provenance) -> frozenset[str]:
    """Of the model and of those that it learned from: a licence goes on through them."""
    found = set(registry.clips_of(model))
    for one in model.inputs:
        source = registry.source_of(one) if one.kind == "model" else None
        if source is not None:
            found |= _learned_clips(registry, source)
    return frozenset(found)
