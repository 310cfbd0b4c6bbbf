"""A folder of videos in numbers, whether its labels file can be read, and which of its files are not taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from magictalk_core.corpora.findings import Findings, Problem, count_clips, problem_of_unused
from magictalk_core.corpora.folder.clips import look_at_folder
from magictalk_core.corpora.raw_files import AUDIO_SUFFIXES
from magictalk_core.corpora.records import Corpus
from magictalk_core.errors import UserError

__all__ = ["check_folder"]


def check_folder(corpus: Corpus, files: Mapping[str, int]) -> Findings:
    """Counts of clips, with the labels where they can be read; where not, that is the problem.

    `files`: path below the root -> bytes.
    """
    try:
        found, problems = look_at_folder(corpus, list(files)), []
    except UserError as error:
        found = look_at_folder(replace(corpus, labels=None), list(files))
        problems = [Problem("labels", str(corpus.labels), f"{error}; counted without labels")]
    sounds = [path for path in files if PurePosixPath(path).suffix.lower() in AUDIO_SUFFIXES]
    if sounds:
        problems.append(problem_of_unused(sounds, "a folder's clips have their sound inside the video"))
    return replace(count_clips(found.clips), problems=[*problems, *found.problems])
