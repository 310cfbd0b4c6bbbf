"""The search for near duplicates: complete where it can be, and cheap where it must be."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from benchmarks.near_duplicates import planted
from magictalk_core.config import QualityConfig
from magictalk_core.media.signature import signature_distance
from magictalk_core.preparation import near_pairs as search
from magictalk_core.preparation.duplicates import find_duplicates, find_leaks
from magictalk_core.preparation.near_pairs import near_pairs
from magictalk_core.storage.schema import CLIPS
from magictalk_core.training_set.copies import excluded_copies

LIMIT = QualityConfig().max_duplicate_distance


def test_few_clips_are_compared_each_with_each() -> None:
    signatures, lengths = planted(300, 20, LIMIT)
    # Some clips lack their sound, some their picture: the part that both have decides.
    for i in range(0, 300, 7):
        signatures[i] = ":" + signatures[i].split(":")[1]
    for i in range(3, 300, 11):
        signatures[i] = signatures[i].split(":")[0] + ":" if signatures[i][0] != ":" else signatures[i]
    expected = {
        (i, j)
        for i, j in combinations(range(300), 2)
        if abs(lengths[i] - lengths[j]) <= 0.5 and signature_distance(signatures[i], signatures[j]) <= LIMIT
    }
    assert len(expected) > 30
    found = list(near_pairs(signatures, lengths, LIMIT))
    assert {(min(pair), max(pair)) for pair in found} == expected and len(found) == len(expected)


def test_among_many_clips_hardly_a_copy_is_missed_and_none_is_made_up() -> None:
    signatures, lengths = planted(6000, 400, LIMIT)
    found = {(min(pair), max(pair)) for pair in near_pairs(signatures, lengths, LIMIT)}
    truth = {(i, i + 800) for i in range(800)}
    assert found <= truth
    assert len(found) >= 797, "one in a thousand may be missed"
    assert found == {(min(pair), max(pair)) for pair in near_pairs(signatures, lengths, LIMIT)}


def test_ten_times_the_clips_are_far_from_a_hundred_times_the_comparisons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = 0
    original = search._neighbours

    def counting(*arguments: Any) -> Any:
        nonlocal compared
        for pair in original(*arguments):
            compared += len(pair[0])
            yield pair

    monkeypatch.setattr(search, "_neighbours", counting)

    def comparisons(clips: int) -> int:
        nonlocal compared
        compared = 0
        list(near_pairs(*planted(clips, 10, LIMIT), LIMIT))
        return compared

    assert comparisons(30_000) < 30 * comparisons(3000), "every clip with every clip would be 100 times as many"


def test_a_wide_limit_still_finds_everything() -> None:
    signatures, lengths = planted(2500, 20, 0.4)
    found = {(min(pair), max(pair)) for pair in near_pairs(signatures, lengths, 0.4)}
    assert {(i, i + 40) for i in range(40)} <= found
    assert list(near_pairs([], [], LIMIT)) == [] and list(near_pairs([":"], [1.0], LIMIT)) == []


def row(name: str, corpus: str, split: str, flipped: slice, **values: Any) -> dict[str, Any]:
    """A clip whose signature differs from that of the others in a stretch of bits."""
    bits = np.zeros(256, np.uint8)
    bits[flipped] = 1
    text = np.packbits(bits).tobytes().hex()
    known = {"clip_id": f"{corpus}/s/{name}", "corpus": corpus, "split": split, "status": "ok", "duration_s": 3.0}
    return dict.fromkeys(CLIPS.names) | known | {"signature": f"{text}:{text}"} | values


def test_a_training_clip_near_a_held_out_clip_leaks_whatever_else_that_is_a_copy_of() -> None:
    rows = [
        row("a", "one", "test", slice(0, 40)),
        row("b", "two", "test", slice(0, 0)),
        row("c", "three", "train", slice(100, 140)),
        row("d", "three", "train", slice(180, 256)),
    ]
    distances = [signature_distance(rows[0]["signature"], r["signature"]) for r in rows]
    assert distances[1] <= LIMIT < distances[2], "c is near b only, and b is a copy of a"
    assert [copy["clip_id"] for copy, _ in find_duplicates(rows, QualityConfig())] == ["two/s/b"]
    leaks = find_leaks(rows, QualityConfig())
    assert dict(leaks.copies) == {"three/s/c": "two/s/b"}
    assert dict(leaks.held_out) == {"two/s/b": "three/s/c"}
    excluded = excluded_copies(rows, frozenset({"three"}), QualityConfig())
    assert set(excluded) == {"three/s/c"} and "two/s/b" in excluded["three/s/c"].detail


def test_a_clip_that_serves_as_style_leaks_as_any_other_and_gives_way_to_one_with_a_voice() -> None:
    mute = {"status": "rejected", "reason": "no_audio"}
    rows = [
        row("held", "one", "test", slice(0, 0)),
        row("a", "one", "train", slice(0, 10), **mute),
        row("b", "one", "train", slice(100, 190), **mute, emotion="happy"),
        row("c", "one", "train", slice(100, 200)),
        row("d", "one", "train", slice(180, 256), **mute),
    ]
    excluded = excluded_copies(rows, frozenset({"one"}), QualityConfig(), frozenset({"one/s/a", "one/s/b", "one/s/d"}))
    assert {clip: one.reason for clip, one in excluded.items()} == {"one/s/a": "leaking_copy", "one/s/b": "copy"}
    assert not excluded_copies(rows, frozenset({"one"}), QualityConfig())


def test_only_accepted_clips_of_different_splits_leak() -> None:
    rows = [row("a", "one", "test", slice(0, 0)), row("b", "two", "train", slice(0, 10))]
    assert dict(find_leaks(rows, QualityConfig()).copies) == {"two/s/b": "one/s/a"}
    assert not find_leaks([r | {"split": "train"} for r in rows], QualityConfig()).copies
    assert not find_leaks([rows[0], rows[1] | {"status": "rejected"}], QualityConfig()).copies
    views = [rows[0] | {"view": "front"}, rows[1] | {"view": "left_30", "corpus": "one"}]
    assert find_leaks(views, QualityConfig()).copies, "a performance seen from the side is held out no more"
