"""Near duplicates by the signatures that standardizing leaves: another encoding, size or name of the same recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.config import QualityConfig
from magictalk_core.media.signature import signature_distance
from magictalk_core.vocabulary.clips import Split

__all__ = ["find_duplicates", "near_pairs"]

_DURATION_S = 0.5
"""Clips whose lengths differ by more are not the same cut; this also keeps the comparison of large corpora small."""

_KEEP_FIRST = {Split.TEST: 0, Split.VAL: 1, Split.TRAIN: 2}
_BLOCK = 4096


def _bits(signatures: Sequence[str], part: int) -> NDArray[np.float32]:
    """(n, bits) of +1 and -1 of one part of the signatures, 0 where a clip lacks the part."""
    texts = [s.split(":")[part] for s in signatures]
    width = max((len(t) for t in texts), default=0)
    rows = np.zeros((len(texts), width * 4), np.float32)
    for row, text in zip(rows, texts, strict=True):
        if text:
            row[:] = np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)) * 2.0 - 1.0
    return rows


def near_pairs(signatures: Sequence[str], durations: Sequence[float], limit: float) -> Iterator[tuple[int, int]]:
    """Pairs (i, j) of clips whose signatures differ in at most the share `limit` of their bits and whose lengths fit.

    Exhaustive within half a second of length. A matrix product counts differing bits of whole blocks at once, and
    `signature_distance` decides on what is left.
    """
    order = np.argsort(np.asarray(durations), kind="stable")
    lengths = np.asarray(durations)[order]
    parts = [_bits([signatures[i] for i in order], part) for part in (0, 1)]
    for start in range(0, len(order), _BLOCK):
        stop = min(start + _BLOCK, len(order))
        reach = int(np.searchsorted(lengths, lengths[stop - 1] + _DURATION_S, side="right"))
        for other in range(start, reach, _BLOCK):
            end = min(other + _BLOCK, reach)
            # A pair is a candidate where either part is near; a part that one clip lacks says nothing.
            near = np.zeros((stop - start, end - other), bool)
            for rows in parts:
                if rows.shape[1]:
                    same = rows[start:stop] @ rows[other:end].T
                    near |= same >= rows.shape[1] * (1 - 2 * limit)
            for a, b in np.argwhere(near):
                i, j = int(start + a), int(other + b)
                if i < j and lengths[j] - lengths[i] <= _DURATION_S:
                    first, second = int(order[i]), int(order[j])
                    if signature_distance(signatures[first], signatures[second]) <= limit:
                        yield first, second


def find_duplicates(
    rows: Sequence[dict[Any, Any]], quality: QualityConfig
) -> list[tuple[dict[Any, Any], Mapping[Any, Any]]]:
    """(copy, original) of CLIPS rows that show the same recording.

    Of several equal ones the original is the one in test, then val, then train, then one with a label, and the first by
    id: what is kept apart for evaluation stays, and its copies leave the training data. Rows without a signature are
    nobody's copy.
    """
    known = sorted(
        (row for row in rows if row["signature"]),
        key=lambda row: (_KEEP_FIRST[Split(row["split"])], row["emotion"] is None, row["clip_id"]),
    )
    pairs = near_pairs(
        [row["signature"] for row in known],
        [float(row["duration_s"]) for row in known],
        quality.max_duplicate_distance,
    )
    copies: dict[int, int] = {}
    for first, second in sorted((min(pair), max(pair)) for pair in pairs):
        if first not in copies and not _are_views(known[first], known[second]):
            copies.setdefault(second, first)
    return [(known[copy], known[original]) for copy, original in sorted(copies.items())]


def _are_views(a: Mapping[Any, Any], b: Mapping[Any, Any]) -> bool:
    """Whether two clips are cameras on one performance: the same sound, and no copies of each other."""
    return bool(a["corpus"] == b["corpus"] and a["view"] and b["view"] and a["view"] != b["view"])
