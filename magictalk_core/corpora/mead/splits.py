"""The splits that the literature uses for MEAD, by the names of their test and val speakers."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from magictalk_core.corpora.splits import named_splits, rank_splits, speaker_splits
from magictalk_core.vocabulary.clips import Split

__all__ = ["LITERATURE_SPLITS", "mead_splits"]

logger = logging.getLogger("magictalk.corpora")

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
"""Name -> (test speakers, val speakers); EDTalk's are EAT's. Sources: yuangan/EAT_code, georgeretsi/smirk,
radekd91/inferno."""


def mead_splits(speakers: Iterable[str], scheme: str) -> dict[str, Split]:
    """speaker -> split. A scheme of the literature that publishes no val speakers takes 15 % of the others by rank.

    Where none of a scheme's test speakers is there (a part of MEAD), the rank rule decides, and the log says so.
    """
    everybody = set(speakers)
    if scheme not in LITERATURE_SPLITS:
        return speaker_splits(everybody, scheme)
    test, val = LITERATURE_SPLITS[scheme]
    if not test & everybody:
        logger.warning(
            "no test speaker of the split `%s` (%s) is here: rank rule used", scheme, ", ".join(sorted(test))
        )
        return rank_splits(everybody)
    return named_splits(everybody, test, val)
