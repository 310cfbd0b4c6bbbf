from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.corpora.mead.splits import LITERATURE_SPLITS, mead_splits
from magictalk_core.corpora.splits import check_disjoint, rank_splits
from magictalk_core.vocabulary.clips import Split

speakers_of = st.sets(st.text(min_size=1, max_size=8), max_size=60)


@given(speakers_of)
def test_the_rank_rule(speakers: set[str]) -> None:
    splits = rank_splits(speakers)
    assert set(splits) == speakers
    counts = {split: list(splits.values()).count(split) for split in Split}
    n = len(speakers)
    assert counts[Split.TEST] == (max(1, round(0.15 * n)) if n >= 2 else 0)
    assert counts[Split.VAL] == (max(1, round(0.15 * n)) if n >= 3 else 0)
    assert n == 0 or counts[Split.TRAIN] >= 1
    assert rank_splits(sorted(speakers, reverse=True)) == splits


@given(speakers_of, st.text(min_size=1, max_size=8))
def test_a_new_speaker_keeps_the_order_of_the_others(speakers: set[str], newcomer: str) -> None:
    """Somebody may cross a border, but nobody overtakes anybody."""
    place = {Split.TEST: 0, Split.VAL: 1, Split.TRAIN: 2}
    before, after = rank_splits(speakers), rank_splits(speakers | {newcomer})
    pairs = sorted((place[before[s]], place[after[s]]) for s in speakers)
    firsts = [max((b for a, b in pairs if a == k), default=-1) for k in range(3)]
    lasts = [min((b for a, b in pairs if a == k), default=3) for k in range(3)]
    assert all(firsts[i] <= lasts[j] for i in range(3) for j in range(i + 1, 3))


def test_the_rank_rule_is_frozen() -> None:
    """These answers must never change: datasets that people have published depend on them."""
    assert rank_splits(["anna", "ben", "carl", "dora"]) == {
        "dora": "test",
        "ben": "val",
        "carl": "train",
        "anna": "train",
    }


@pytest.mark.parametrize("scheme", sorted(LITERATURE_SPLITS))
def test_splits_of_the_literature(scheme: str) -> None:
    test, val = LITERATURE_SPLITS[scheme]
    assert not test & val
    everybody = test | val | {"M901", "M902", "M903"}
    splits = mead_splits(everybody, scheme)
    assert {s for s, split in splits.items() if split == Split.TEST} == test
    found = {s for s, split in splits.items() if split == Split.VAL}
    assert found == val if val else len(found) == 1


def test_a_part_of_mead_without_test_speakers_falls_back(caplog: pytest.LogCaptureFixture) -> None:
    speakers = ["M005", "M007", "M009"]
    assert mead_splits(speakers, "eat") == rank_splits(speakers)
    assert "rank rule" in caplog.text


def clips(*rows: tuple[str, str, str, str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["clip_id", "speaker", "raw_md5", "split", "status"])
    return frame.assign(corpus="c", source=frame["speaker"])


def test_leaks_are_named() -> None:
    fine = clips(
        ("c/a/1", "a", "m1", "train", "ok"), ("c/a/2", "a", "m2", "train", "ok"), ("c/b/1", "b", "m3", "test", "ok")
    )
    assert check_disjoint(fine) == []
    speaker = check_disjoint(clips(("c/a/1", "a", "m1", "train", "ok"), ("c/a/2", "a", "m2", "test", "ok")))
    assert speaker[0] == "speaker c/a is in test and train: for example c/a/1, c/a/2"
    copied = check_disjoint(clips(("c/a/1", "a", "m1", "train", "ok"), ("c/b/1", "b", "m1", "val", "ok")))
    assert copied == ["raw file with md5 m1 is in train and val: for example c/a/1, c/b/1"]
    gone = clips(("c/a/1", "a", "m1", "train", "withdrawn"), ("c/a/2", "a", "m2", "test", "ok"))
    assert check_disjoint(gone) == []
