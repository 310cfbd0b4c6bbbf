"""Near duplicates by the signatures that standardizing leaves: another encoding, size or name of the same recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from magictalk_core.config import QualityConfig
from magictalk_core.preparation.near_pairs import near_pairs
from magictalk_core.vocabulary.clips import Split, Status

__all__ = ["Leaks", "find_duplicates", "find_leaks"]

_KEEP_FIRST = {Split.TEST: 0, Split.VAL: 1, Split.TRAIN: 2}


def find_duplicates(
    rows: Sequence[dict[Any, Any]], quality: QualityConfig
) -> list[tuple[dict[Any, Any], Mapping[Any, Any]]]:
    """(copy, original) of CLIPS rows that show the same recording.

    Of several equal ones the original is the one in test, then val, then train, then one with a label, and the first by
    id: what is kept apart for evaluation stays, and its copies leave the training data. Rows without a signature are
    nobody's copy.
    """
    known = _signed(rows)
    copies: dict[int, int] = {}
    for first, second in _pairs(known, quality):
        if first not in copies and not _are_views(known[first], known[second]):
            copies.setdefault(second, first)
    return [(known[copy], known[original]) for copy, original in sorted(copies.items())]


def _are_views(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> bool:
    """Whether two clips are cameras on one performance: the same sound, and no copies of each other."""
    return bool(a["corpus"] == b["corpus"] and a["view"] and b["view"] and a["view"] != b["view"])


def _signed(rows: Sequence[dict[Any, Any]]) -> list[dict[Any, Any]]:
    """Rows with a signature, in the order in which they are kept: by split, voice, label and id."""
    signed = (row for row in rows if row["signature"])
    return sorted(signed, key=_rank)


def _rank(row: Mapping[Any, Any]) -> tuple[int, bool, bool, str]:
    split, is_voiceless = _KEEP_FIRST[Split(row["split"])], bool(row.get("is_voiceless"))
    return split, is_voiceless, row["emotion"] is None, row["clip_id"]


def _pairs(signed: Sequence[Mapping[Any, Any]], quality: QualityConfig) -> list[tuple[int, int]]:
    """Places of two rows that show one recording, the one to keep first."""
    signatures = [row["signature"] for row in signed]
    lengths = [float(row["duration_s"]) for row in signed]
    return sorted((min(pair), max(pair)) for pair in near_pairs(signatures, lengths, quality.max_duplicate_distance))


@dataclass(frozen=True)
class Leaks:
    """One recording in two splits, by clip id.

    `copies`: clip to leave out of training -> the held-out clip that shows the same, one of test before one of val; a
    clip of val may be a copy of one in test. `held_out`: held-out clip -> the first of its copies.
    """

    copies: Mapping[str, str]
    held_out: Mapping[str, str]


def find_leaks(rows: Sequence[dict[Any, Any]], quality: QualityConfig) -> Leaks:
    """What a model would learn by heart before it is tested on it, among the accepted CLIPS rows of any corpora.

    Pass the rows of all corpora: the held-out clips of every one are evaluated. Unlike `find_duplicates` this looks at
    every pair: a training clip leaks where it is near a held-out clip that is itself a copy of a third, and where it
    shows a held-out performance from another side.
    """
    signed = _signed([row for row in rows if row["status"] == Status.OK])
    copies: dict[str, str] = {}
    held_out: dict[str, str] = {}
    for first, second in _pairs(signed, quality):
        if signed[first]["split"] != signed[second]["split"]:
            kept, copy = str(signed[first]["clip_id"]), str(signed[second]["clip_id"])
            copies.setdefault(copy, kept)
            held_out.setdefault(kept, copy)
    return Leaks(copies, held_out)
