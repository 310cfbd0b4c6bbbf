"""TalkingHead-1KH's lists in numbers, and which of their tubes are here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from magictalk_core.corpora.findings import Findings, Problem, missing_facts
from magictalk_core.corpora.records import ClipSource, Corpus
from magictalk_core.corpora.talkinghead1kh.clips import find_clips
from magictalk_core.corpora.talkinghead1kh.lists import LISTS, TalkingHeadLists, Tube, read_talkinghead_lists

__all__ = ["check_talkinghead", "overlapping_chunks"]

_EXAMPLES = 5


def check_talkinghead(corpus: Corpus, files: Mapping[str, int]) -> Findings:
    """Ids, tubes and their shapes by list, clips by split and by what is here of them.

    `files`: path below the root -> bytes. What a reader of the lists stumbles over is in the problems.
    """
    lists = read_talkinghead_lists(corpus.root, files)
    clips = find_clips(corpus, list(files))
    rows = [_count(lists, name) for name in LISTS]
    facts = {f"{row['list']}_{key}": row[key] for row in rows for key in ("ids", "tubes", "ids_with_tubes")}
    facts |= {"small_ids_in_train": len(set(lists.ids["small"]) & set(lists.ids["train"])), **missing_facts(clips)}
    splits = Counter(str(clip.split) for clip in clips)
    tables = {
        "lists": rows,
        "clips by split": [{"split": split, "clips": n} for split, n in sorted(splits.items())],
        "media": _media(clips),
    }
    remarks = [problem for name in LISTS for problem in _remarks(lists, name)]
    return Findings(facts, tables, [*lists.problems, *remarks])


def overlapping_chunks(tubes: Iterable[Tube]) -> list[str]:
    """Names of the chunks in which two tubes overlap in time: several faces. One shared frame is no overlap, since
    long tracks are cut into tubes that share one."""
    by_chunk: dict[str, list[Tube]] = {}
    for tube in tubes:
        by_chunk.setdefault(tube.chunk_name, []).append(tube)
    return [name for name, inside in by_chunk.items() if _overlap(inside)]


def _overlap(tubes: Sequence[Tube]) -> bool:
    last = -1
    for tube in sorted(tubes, key=lambda tube: (tube.first, tube.last)):
        if tube.first < last:
            return True
        last = max(last, tube.last)
    return False


def _is_square(tube: Tube) -> bool:
    return tube.right - tube.left == tube.bottom - tube.top


def _without_tubes(lists: TalkingHeadLists, name: str) -> list[str]:
    covered = {tube.video_id for tube in lists.tubes[name]}
    return [video for video in lists.ids[name] if video not in covered]


def _count(lists: TalkingHeadLists, name: str) -> dict[str, Any]:
    ids, tubes = lists.ids[name], lists.tubes[name]
    lengths = [tube.frames for tube in tubes]
    sizes = Counter(f"{tube.width}x{tube.height}" for tube in tubes)
    return {
        "list": name,
        "ids": len(ids),
        "tubes": len(tubes),
        "ids_with_tubes": len(ids) - len(_without_tubes(lists, name)),
        "ids_without_tubes": len(_without_tubes(lists, name)),
        "chunks": len({tube.chunk_name for tube in tubes}),
        "overlapping_chunks": len(overlapping_chunks(tubes)),
        "not_square": sum(not _is_square(tube) for tube in tubes),
        "frames_min": min(lengths, default=None),
        "frames_median": median(lengths) if lengths else None,
        "frames_max": max(lengths, default=None),
        "ids_leading_minus": sum(video.startswith("-") for video in ids),
        "ids_with_underscore": sum("_" in video for video in ids),
        "picture_sizes": dict(sorted(sizes.items())),
    }


def _some(names: Sequence[str]) -> str:
    """All names, or the first few and how many there are."""
    shown = ", ".join(names[:_EXAMPLES])
    return shown if len(names) <= _EXAMPLES else f"{shown} and {len(names) - _EXAMPLES} more"


def _remarks(lists: TalkingHeadLists, name: str) -> list[Problem]:
    """What is no fault of a row, but surprises readers of a list."""
    ids, tubes = lists.ids[name], lists.tubes[name]
    without = _without_tubes(lists, name)
    covered = len(ids) - len(without)
    crowded = overlapping_chunks(tubes)
    slanted = [tube.clip_name for tube in tubes if not _is_square(tube)]
    minus, underscore = [v for v in ids if v.startswith("-")], [v for v in ids if "_" in v]
    where = f"{name}_video_tubes.txt"
    found = [
        (without, "ids_without_tubes", where, f"{len(without)} of {len(ids)} ids have no tubes: {_some(without)}"),
        (
            # The official lists lack tubes of a few ids; most missing means that the list is only a part.
            tubes and 2 * covered < len(ids),
            "partial_list",
            where,
            f"the tubes cover {covered} of {len(ids)} ids: the list is a part of the official one",
        ),
        (crowded, "overlapping_tubes", where, f"{len(crowded)} chunks show several faces at once: {_some(crowded)}"),
        (slanted, "not_square", where, f"{len(slanted)} of {len(tubes)} tubes are not square: {_some(slanted)}"),
        (minus, "leading_minus", f"{name}_video_ids.txt", f"{len(minus)} ids begin with `-`: {_some(minus)}"),
        (underscore, "underscore", f"{name}_video_ids.txt", f"{len(underscore)} ids hold `_`: {_some(underscore)}"),
    ]
    return [Problem(kind, place, what) for is_so, kind, place, what in found if is_so]


def _media(clips: Iterable[ClipSource]) -> list[dict[str, Any]]:
    """Clips by what is here of them."""
    states = {"minute chunk": 0, "cropped clip": 0, "whole video": 0, "missing": 0}
    for clip in clips:
        if clip.path is None:
            states["missing"] += 1
        elif clip.chunk is not None:
            states["whole video"] += 1
        else:
            states["cropped clip" if clip.box is None else "minute chunk"] += 1
    return [{"state": state, "clips": n} for state, n in states.items()]
