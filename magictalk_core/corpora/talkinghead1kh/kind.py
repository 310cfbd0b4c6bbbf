"""What is known about TalkingHead-1KH."""

from __future__ import annotations

from magictalk_core.corpora.kind import CorpusKind
from magictalk_core.corpora.raw_files import LIST_SUFFIXES, MEDIA_SUFFIXES
from magictalk_core.corpora.talkinghead1kh.check import check_talkinghead
from magictalk_core.corpora.talkinghead1kh.clips import find_clips
from magictalk_core.corpora.talkinghead1kh.wanted import wanted_videos

__all__ = ["TALKINGHEAD1KH"]

TALKINGHEAD1KH = CorpusKind(
    name="talkinghead1kh",
    summary="TalkingHead-1KH: lists of face tubes in YouTube videos",
    suffixes=MEDIA_SUFFIXES | LIST_SUFFIXES,
    find_clips=find_clips,
    check=check_talkinghead,
    licence="TalkingHead-1KH lists: MIT (NVIDIA); videos: CC BY 3.0 by their YouTube authors",
    terms="The lists are MIT (NVIDIA), with a request to cite and to say what was changed. The videos are CC BY 3.0: "
    "name their authors, whose addresses stand in the clip table.",
    obligations=("name the authors", "say what was changed"),
    splits=("official", "rank", "train"),
    buckets=64,
    wanted=wanted_videos,
)
