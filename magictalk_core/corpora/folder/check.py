"""A folder of videos in numbers, and whether its labels file can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from magictalk_core.corpora.findings import Findings, Problem, count_clips
from magictalk_core.corpora.folder.clips import find_clips
from magictalk_core.corpora.records import Corpus
from magictalk_core.errors import UserError

__all__ = ["check_folder"]


def check_folder(corpus: Corpus, files: Mapping[str, int]) -> Findings:
    """Counts of clips, with the labels where they can be read; where not, that is the problem.

    `files`: path below the root -> bytes.
    """
    try:
        return count_clips(find_clips(corpus, list(files)))
    except UserError as error:
        found = count_clips(find_clips(replace(corpus, labels=None), list(files)))
        problem = Problem("labels", str(corpus.labels), f"{error}; counted without labels")
        return replace(found, problems=[problem])
