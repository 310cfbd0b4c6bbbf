from __future__ import annotations

import os
from pathlib import Path

import pytest

from magictalk_core.corpora import source as source_module
from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.registry import new_entry
from magictalk_core.corpora.source import list_source
from magictalk_core.errors import PermanentError
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import SOURCE

NOWHERE = Path("/nonexistent")


@pytest.fixture
def entry(tmp_path: Path) -> CorpusEntry:
    (tmp_path / "raw").mkdir()
    return new_entry(name="a", kind="folder", root=tmp_path / "raw")


def put(root: Path, name: str, content: str = "x") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_media_files_are_listed_and_nothing_else(entry: CorpusEntry) -> None:
    names = ["b/c.MP4", "a.mov", "a b'\n😀.webm", "-x.wav", "n" * 200 + ".m4a"]
    for name in [*names, "readme.txt", "._a.mov", ".git/b.mp4", "truth/t.parquet"]:
        put(entry.root, name, name)
    found = list_source(entry, NOWHERE, None, 2)
    assert list(found["path"]) == sorted(names)
    for row in found.itertuples():
        path = entry.root / row.path
        assert (row.bytes, row.mtime_ns, row.md5) == (path.stat().st_size, path.stat().st_mtime_ns, file_md5(path))
    table = entry.root.parent / "source.parquet"
    write_table(SOURCE, found, table)
    assert list(read_frame(SOURCE, table)["path"]) == sorted(names)


def test_a_name_that_no_table_can_hold_is_left_out(entry: CorpusEntry, caplog: pytest.LogCaptureFixture) -> None:
    put(entry.root, "a.mp4")
    (entry.root / os.fsdecode(b"\xff.mp4")).write_text("x")
    assert list(list_source(entry, NOWHERE, None, 1)["path"]) == ["a.mp4"]
    assert "no utf8" in caplog.text and "\\xff.mp4" in caplog.text


def test_only_changed_files_are_read(entry: CorpusEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        put(entry.root, name, name)
    before = list_source(entry, NOWHERE, None, 1)
    put(entry.root, "b.mp4", "other")
    put(entry.root, "d.mp4", "new")
    (entry.root / "c.mp4").unlink()
    read: list[str] = []

    def count(path: Path) -> str:
        read.append(path.name)
        return file_md5(path)

    monkeypatch.setattr(source_module, "file_md5", count)
    after = list_source(entry, NOWHERE, before, 1)
    assert sorted(read) == ["b.mp4", "d.mp4"]
    assert list(after["path"]) == ["a.mp4", "b.mp4", "d.mp4"]
    assert after["md5"].iloc[0] == before["md5"].iloc[0]


def test_an_empty_folder_and_a_missing_one(entry: CorpusEntry) -> None:
    assert list_source(entry, NOWHERE, None, 1).empty
    entry.root.rmdir()
    with pytest.raises(PermanentError, match="mounted"):
        list_source(entry, NOWHERE, None, 1)
