"""The sample corpus in numbers: there is no official list to hold it against, since this project makes it."""

from __future__ import annotations

from collections.abc import Mapping

from magictalk_core.corpora.findings import Findings, count_clips
from magictalk_core.corpora.mead.clips import find_clips
from magictalk_core.corpora.records import Corpus

__all__ = ["check_sample"]


def check_sample(corpus: Corpus, files: Mapping[str, int]) -> Findings:
    """Counts of the clips. `files`: path below the root -> bytes."""
    return count_clips(find_clips(corpus, list(files)))
