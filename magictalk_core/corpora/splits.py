"""Who is in train, val and test: always whole speakers, always the same answer for the same speakers.

**rank**: speakers are ordered by the md5 of their id. The first 15 % (at least one, from two speakers on) are test, the
next 15 % (at least one, from three on) are val, the rest train. The order of two speakers never changes and does not
depend on the corpus. The price of exact shares in small corpora: a new speaker may push another across a border. A
fixed hash threshold would never move anybody, but leaves small corpora without test speakers; a user who needs a frozen
split writes it into the labels file.

**train**: everybody is in train.

**clip**: clips are held out by the same rule, not speakers. What is scored is then a voice and a face that were learned
from. **rank_or_clip**: by rank, and by clip where there is one speaker only, of whom nothing could be held out.

Kinds have further schemes of their own, from published lists: see their folders.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

from magictalk_core.vocabulary.clips import Split, Status

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CLIP",
    "RANK_OR_CLIP",
    "check_disjoint",
    "clip_splits",
    "is_split_by_clip",
    "named_splits",
    "official_splits",
    "rank_splits",
    "speaker_splits",
]

CLIP, RANK_OR_CLIP = "clip", "rank_or_clip"

_TEST_SHARE = _VAL_SHARE = 0.15


def _ranked(speakers: Iterable[str]) -> list[str]:
    return sorted(set(speakers), key=lambda s: (hashlib.md5(s.encode("utf-8", "surrogateescape")).hexdigest(), s))


def _share(share: float, n: int, smallest: int) -> int:
    """How many of `n` speakers; none below `smallest` speakers, else at least one."""
    return 0 if n < smallest else max(1, round(share * n))


def rank_splits(speakers: Iterable[str]) -> dict[str, Split]:
    """speaker -> split by the rank rule."""
    ranked = _ranked(speakers)
    test = _share(_TEST_SHARE, len(ranked), 2)
    val = _share(_VAL_SHARE, len(ranked), 3)
    order = [Split.TEST] * test + [Split.VAL] * val
    order += [Split.TRAIN] * (len(ranked) - len(order))
    return dict(zip(ranked, order, strict=True))


def speaker_splits(speakers: Iterable[str], scheme: str) -> dict[str, Split]:
    """speaker -> split by the scheme `rank` or `train`, which every kind has."""
    everybody = set(speakers)
    return dict.fromkeys(everybody, Split.TRAIN) if scheme == "train" else rank_splits(everybody)


def is_split_by_clip(scheme: str, speakers: Iterable[str]) -> bool:
    """Whether single clips of `speakers` are held out, not speakers."""
    return scheme == CLIP or (scheme == RANK_OR_CLIP and len(set(speakers)) == 1)


def clip_splits(sources: Iterable[str]) -> dict[str, Split]:
    """source -> split by the rank rule."""
    return rank_splits(sources)


def named_splits(speakers: Iterable[str], test: Set[str], val: Set[str]) -> dict[str, Split]:
    """speaker -> split where a list names the test and val speakers; of a list without val speakers 15 % of the others,
    by rank, are."""
    everybody = set(speakers)
    others = _ranked(everybody - test)
    chosen = val & everybody if val else set(others[: _share(_VAL_SHARE, len(others), 2)])
    splits = dict.fromkeys(others, Split.TRAIN) | dict.fromkeys(chosen, Split.VAL)
    return splits | dict.fromkeys(test & everybody, Split.TEST)


def official_splits(videos: Iterable[str], val: set[str]) -> dict[str, Split]:
    """video -> split for a corpus that publishes train and val: val is our test set, 15 % of train by rank our val."""
    others = _ranked(set(videos) - val)
    chosen = set(others[: _share(_VAL_SHARE, len(others), 2)])
    return {v: Split.TEST if v in val else Split.VAL if v in chosen else Split.TRAIN for v in videos}


def check_disjoint(clips: pd.DataFrame, by_clip: Set[str] = frozenset()) -> list[str]:
    """What leaks between the splits of CLIPS rows: a speaker, source recording or raw file in more than one.

    In the corpora `by_clip` clips are held out, and a speaker may be in several splits.
    Empty when nothing does. Withdrawn clips do not count. Files are compared by content, so a copy under another name
    and another speaker is found; across corpora only files are, since speaker names there are unrelated.
    """
    used = clips[clips["status"] != Status.WITHDRAWN]
    problems = []
    for what, keys in {
        "speaker": ["corpus", "speaker"],
        "source": ["corpus", "source"],
        "raw file with md5": ["raw_md5"],
    }.items():
        looked_at = used[~used["corpus"].isin(by_clip)] if what == "speaker" else used
        for key, group in looked_at.groupby(keys, sort=True):
            splits = sorted(set(group["split"]))
            if len(splits) > 1:
                example = ", ".join(sorted(group.groupby("split")["clip_id"].min()))
                name = "/".join(map(str, key if isinstance(key, tuple) else (key,)))
                problems.append(f"{what} {name} is in {' and '.join(splits)}: for example {example}")
    return problems
