"""HDTF's lists in numbers, and which of their clips are here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from magictalk_core.corpora.findings import Findings, missing_facts
from magictalk_core.corpora.hdtf.clips import find_clips
from magictalk_core.corpora.hdtf.lists import SUBSETS, TABLES, HdtfLists, HdtfVideo, read_lists
from magictalk_core.corpora.records import ClipSource, Corpus

__all__ = ["check_hdtf"]


def check_hdtf(corpus: Corpus, files: Mapping[str, int]) -> Findings:
    """Counts of the lists by subset, hours with and without the clips that have no crop, media by state.

    `files`: path below the root -> bytes. The traps in the lists are the problems, each with its place.
    """
    lists = read_lists(corpus.root, files)
    clips = find_clips(corpus, list(files))
    by_subset = [_count(lists, subset, [v for v in lists.videos if v.subset == subset]) for subset in SUBSETS]
    total = _count(lists, "all", lists.videos)
    facts = {key: value for key, value in total.items() if key != "subset"} | {
        "distinct_ids": len({v.youtube_id for v in lists.videos if v.youtube_id is not None}),
        "speakers": len({clip.speaker for clip in clips}),
        **missing_facts(clips),
    }
    rows = [{"subset": s, **{kind: lists.rows[s, kind] for kind in TABLES}} for s in SUBSETS]
    tables = {"subsets": [*by_subset, total], "rows of the lists": rows, "media": _media(clips)}
    return Findings(facts, tables, list(lists.problems))


def _count(lists: HdtfLists, subset: str, videos: Iterable[HdtfVideo]) -> dict[str, Any]:
    videos = list(videos)
    clips = [clip for video in videos for clip in video.clips]
    cropped = [clip for clip in clips if clip.crop is not None]
    return {
        "subset": subset,
        "urls": sum(n for (s, kind), n in lists.rows.items() if kind == "video_url" and subset in (s, "all")),
        "videos_with_times": sum(video.has_times for video in videos),
        "timed_clips": len(clips),
        "clips_with_crop": len(cropped),
        "hours": round(sum(clip.end_s - clip.start_s for clip in clips) / 3600, 2),
        "hours_with_crop": round(sum(clip.end_s - clip.start_s for clip in cropped) / 3600, 2),
        "videos_with_crop": sum(any(clip.crop is not None for clip in video.clips) for video in videos),
    }


def _media(clips: Iterable[ClipSource]) -> list[dict[str, Any]]:
    """Clips by what is here of them."""
    states = {"raw video": 0, "cut and cropped already": 0, "missing": 0}
    for clip in clips:
        states["missing" if clip.path is None else "cut and cropped already" if clip.box is None else "raw video"] += 1
    return [{"state": state, "clips": n} for state, n in states.items()]
