"""Who is in train, val and test: always whole speakers, always the same answer for the same speakers.

**rank**: speakers are ordered by the md5 of their id. The first 15 % (at least one, from two speakers on) are test, the
next 15 % (at least one, from three on) are val, the rest train. The order of two speakers never changes and does not
depend on the corpus. The price of exact shares in small corpora: a new speaker may push another across a border. A
fixed hash threshold would never move anybody, but leaves small corpora without test speakers; a user who needs a frozen
split writes it into the labels file.

**eat, smirk, emote**: the test speakers (and val speakers, where published) that the literature uses for MEAD.
EDTalk's are EAT's.

**official**: TalkingHead-1KH's own lists; its adapter reads them. **train**: everybody is in train.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable

import pandas as pd

from magictalk_core.corpora.registry import CorpusEntry, SplitScheme
from magictalk_core.vocabulary.clips import Split, Status

__all__ = [
    "LITERATURE_SPLITS",
    "check_disjoint",
    "official_splits",
    "rank_splits",
    "scheme_of",
    "speaker_splits",
]

logger = logging.getLogger("magictalk.corpora")

_TEST_SHARE = _VAL_SHARE = 0.15

LITERATURE_SPLITS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "eat": (frozenset({"M003", "M030", "W009", "W015"}), frozenset()),
    "smirk": (
        frozenset({"M005", "M022", "M028", "W029", "W033"}),
        frozenset({"M013", "M023", "M042", "W018", "W028"}),
    ),
    "emote": (
        frozenset({"M037", "M039", "M040", "M041", "M042", "W037", "W038", "W040"}),
        frozenset({"M032", "M033", "M034", "M035", "W033", "W035", "W036"}),
    ),
}
"""Name -> (test speakers, val speakers) of MEAD. Sources: yuangan/EAT_code, georgeretsi/smirk, radekd91/inferno."""


def scheme_of(entry: CorpusEntry) -> SplitScheme:
    """The corpus's split scheme with `auto` resolved."""
    if entry.split != "auto":
        return entry.split
    return "eat" if entry.kind == "mead" else "official" if entry.kind == "talkinghead1kh" else "rank"


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


def speaker_splits(speakers: Iterable[str], scheme: SplitScheme) -> dict[str, Split]:
    """speaker -> split. A scheme of the literature that publishes no val speakers takes 15 % of the others by rank.

    Where none of a scheme's test speakers is there (a part of MEAD), the rank rule decides, and the log says so.
    """
    everybody = set(speakers)
    if scheme == "train":
        return dict.fromkeys(everybody, Split.TRAIN)
    if scheme not in LITERATURE_SPLITS:
        return rank_splits(everybody)
    test, val = LITERATURE_SPLITS[scheme]
    if not test & everybody:
        logger.warning(
            "no test speaker of the split `%s` (%s) is here: rank rule used", scheme, ", ".join(sorted(test))
        )
        return rank_splits(everybody)
    others = _ranked(everybody - test)
    chosen = val & everybody if val else frozenset(others[: _share(_VAL_SHARE, len(others), 2)])
    splits = dict.fromkeys(others, Split.TRAIN) | dict.fromkeys(chosen, Split.VAL)
    return splits | dict.fromkeys(test & everybody, Split.TEST)


def official_splits(videos: Iterable[str], val: set[str]) -> dict[str, Split]:
    """video -> split for a corpus that publishes train and val: val is our test set, 15 % of train by rank our val."""
    others = _ranked(set(videos) - val)
    chosen = set(others[: _share(_VAL_SHARE, len(others), 2)])
    return {v: Split.TEST if v in val else Split.VAL if v in chosen else Split.TRAIN for v in videos}


def check_disjoint(clips: pd.DataFrame) -> list[str]:
    """What leaks between the splits of CLIPS rows: a speaker, source recording or raw file in more than one.

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
        for key, group in used.groupby(keys, sort=True):
            splits = sorted(set(group["split"]))
            if len(splits) > 1:
                example = ", ".join(sorted(group.groupby("split")["clip_id"].min()))
                name = "/".join(map(str, key if isinstance(key, tuple) else (key,)))
                problems.append(f"{what} {name} is in {' and '.join(splits)}: for example {example}")
    return problems
