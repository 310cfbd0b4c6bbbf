"""Which clip gives the style of a test clip: never the clip itself, and of other people those to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from magictalk_core.errors import PermanentError
from magictalk_core.preparation.reader import CorpusReader, pick_style_clip
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS
from magictalk_core.workspace import Workspace


def reader_of(home: Path, clips: list[tuple[str, str, str | None, str]]) -> CorpusReader:
    """A corpus of (name, speaker, emotion, split)."""
    workspace = Workspace(home)
    rows: list[dict[str, Any]] = []
    for name, speaker, emotion, split in clips:
        known = {"clip_id": f"c/{name}/full", "corpus": "c", "shard": "b", "speaker": speaker, "source": name}
        known |= {"emotion": emotion, "licence": "CC0", "raw_path": name, "raw_md5": "0" * 32, "split": split}
        rows.append(dict.fromkeys(CLIPS.names) | known | {"status": "ok"})
    write_table(CLIPS, rows, workspace.clips_table("c"))
    return CorpusReader(workspace, "c")


def test_a_speaker_of_one_clip_gets_the_style_of_somebody_to_train_on(tmp_path: Path) -> None:
    reader = reader_of(
        tmp_path,
        [
            ("a", "one", "sad", "test"),
            ("b", "two", "sad", "test"),
            ("c", "three", "sad", "train"),
            ("d", "four", "happy", "train"),
        ],
    )
    assert pick_style_clip(reader, "c/a/full") == "c/c/full"


def test_unlabelled_clips_of_lone_speakers_are_not_their_own_style(tmp_path: Path) -> None:
    """HDTF: one recording a person, no emotions. The clip itself would tell the answer."""
    reader = reader_of(
        tmp_path, [("a", "one", None, "test"), ("b", "two", None, "test"), ("c", "three", None, "train")]
    )
    assert pick_style_clip(reader, "c/a/full") == "c/c/full"


def test_another_person_of_the_test_gives_nobody_a_style(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="is the only accepted clip of its speaker in corpus `c`"):
        pick_style_clip(reader_of(tmp_path, [("a", "one", "sad", "test"), ("b", "two", "sad", "test")]), "c/a/full")
    own = [("a", "one", "sad", "test"), ("b", "two", "sad", "test"), ("d", "one", "happy", "test")]
    assert pick_style_clip(reader_of(tmp_path, own), "c/a/full") == "c/d/full"


def test_a_corpus_of_one_clip_has_no_style(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="which has no accepted clip to train on"):
        pick_style_clip(reader_of(tmp_path, [("a", "one", "sad", "test")]), "c/a/full")
