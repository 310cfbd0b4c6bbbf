"""What is known about plain folders of videos."""

from __future__ import annotations

from magictalk_core.corpora.entry import UNKNOWN_LICENCE
from magictalk_core.corpora.folder.check import check_folder
from magictalk_core.corpora.folder.clips import find_clips
from magictalk_core.corpora.kind import CorpusKind
from magictalk_core.corpora.raw_files import MEDIA_SUFFIXES
from magictalk_core.corpora.splits import CLIP, RANK_OR_CLIP

__all__ = ["FOLDER"]

FOLDER = CorpusKind(
    name="folder",
    summary="any folder of videos, with a CSV of labels if you have one",
    suffixes=MEDIA_SUFFIXES,
    find_clips=find_clips,
    check=check_folder,
    licence=UNKNOWN_LICENCE,
    terms="What the owner of the videos allows, and the people in them.",
    obligations=(),
    splits=(RANK_OR_CLIP, "rank", CLIP, "train"),
    buckets=4,
    files_per_bucket=200,
    takes_labels=True,
)
