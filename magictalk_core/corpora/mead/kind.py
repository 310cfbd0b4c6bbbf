"""What is known about MEAD."""

from __future__ import annotations

import re

from magictalk_core.corpora.kind import CorpusKind
from magictalk_core.corpora.mead.check import check_mead
from magictalk_core.corpora.mead.clips import VIEWS, find_clips
from magictalk_core.corpora.mead.splits import LITERATURE_SPLITS
from magictalk_core.corpora.raw_files import LIST_SUFFIXES, MEDIA_SUFFIXES

__all__ = ["MEAD"]

MEAD = CorpusKind(
    name="mead",
    summary="MEAD: actors, eight emotions, three levels, seven views",
    suffixes=MEDIA_SUFFIXES,
    companions=LIST_SUFFIXES | {".json"},
    find_clips=find_clips,
    check=check_mead,
    licence="MEAD terms of use: non-commercial research only, no redistribution",
    terms="Non-commercial research only, no redistribution, citation required; access may be withdrawn "
    "(uniBruce/Mead, Terms of Use). A dataset made of it is for the same people under the same terms.",
    obligations=("non-commercial", "no redistribution", "citation", "access may be withdrawn"),
    splits=(*LITERATURE_SPLITS, "rank", "train"),
    buckets=None,
    views=VIEWS,
    archives=re.compile(r"(video|audio)\.(tar|tgz|tbz2|txz|tar\.(gz|bz2|xz))", re.IGNORECASE),
)
