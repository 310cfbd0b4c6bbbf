"""What is known about HDTF."""

from __future__ import annotations

from magictalk_core.corpora.hdtf.check import check_hdtf
from magictalk_core.corpora.hdtf.clips import find_clips
from magictalk_core.corpora.hdtf.wanted import wanted_videos
from magictalk_core.corpora.kind import CorpusKind
from magictalk_core.corpora.raw_files import LIST_SUFFIXES, MEDIA_SUFFIXES

__all__ = ["HDTF"]

HDTF = CorpusKind(
    name="hdtf",
    summary="HDTF: lists of intervals and windows in YouTube videos",
    suffixes=MEDIA_SUFFIXES | LIST_SUFFIXES,
    find_clips=find_clips,
    check=check_hdtf,
    licence="HDTF lists CC BY 4.0; videos under the YouTube terms of service",
    terms="The lists are CC BY 4.0. The videos are their authors', under YouTube's terms of service: "
    "that a list names a video gives no licence to it.",
    obligations=("name the authors", "the videos' own terms"),
    splits=("rank", "train"),
    buckets=16,
    wanted=wanted_videos,
)
