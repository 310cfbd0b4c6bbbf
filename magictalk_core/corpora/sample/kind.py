"""What is known about the sample corpus, which `sample_corpus/` builds in MEAD's layout."""

from __future__ import annotations

from magictalk_core.corpora.kind import CorpusKind
from magictalk_core.corpora.mead.clips import VIEWS, find_clips
from magictalk_core.corpora.mead.splits import LITERATURE_SPLITS
from magictalk_core.corpora.raw_files import MEDIA_SUFFIXES
from magictalk_core.corpora.sample.check import check_sample
from magictalk_core.corpora.sample.phonemes import read_phonemes
from magictalk_core.corpora.sample.true_curves import read_true_curves

__all__ = ["SAMPLE"]

SAMPLE = CorpusKind(
    name="sample",
    summary="the sample corpus of this project, in MEAD's layout, with known curves",
    suffixes=MEDIA_SUFFIXES,
    companions=frozenset((".parquet", ".md", "")),
    find_clips=find_clips,
    check=check_sample,
    licence="CC0 / public domain (NASA portrait, synthetic speech)",
    terms="Free for everything. The portrait is a public-domain picture of NASA, the voices and the motion are made by "
    "this project: nothing in it is a recording of a person who speaks.",
    obligations=(),
    splits=("rank", "train", *LITERATURE_SPLITS),
    buckets=None,
    views=VIEWS,
    is_synthetic=True,
    true_curves=read_true_curves,
    phonemes=read_phonemes,
)
