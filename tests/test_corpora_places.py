"""A workspace and its raw files mounted elsewhere: where things lie is no part of what they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from magictalk_core.corpora.registry import add_corpus, load_corpus, new_entry
from magictalk_core.errors import UserError
from magictalk_core.workspace import Workspace


def written(workspace: Workspace, name: str) -> dict[str, str]:
    values: dict[str, str] = yaml.safe_load(workspace.corpus_file(name).read_text(encoding="utf-8"))
    return values


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "raw/clips").mkdir(parents=True)
    (tmp_path / "raw/labels.csv").write_text("path,speaker\n", encoding="utf-8")
    monkeypatch.setenv("MAGICTALK_RAW", str(tmp_path / "raw"))
    return tmp_path / "raw"


def test_a_root_below_the_raw_folder_follows_it(
    workspace: Workspace, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = new_entry(name="mine", kind="folder", root=raw / "clips", labels=raw / "labels.csv")
    add_corpus(workspace, entry)
    found = written(workspace, "mine")
    assert (found["root"], found["labels"]) == ("$MAGICTALK_RAW/clips", "$MAGICTALK_RAW/labels.csv")
    assert load_corpus(workspace, "mine") == entry
    monkeypatch.setenv("MAGICTALK_RAW", str(tmp_path / "elsewhere"))
    moved = load_corpus(workspace, "mine")
    assert (moved.root, moved.labels) == (tmp_path / "elsewhere/clips", tmp_path / "elsewhere/labels.csv")


def test_a_root_can_be_named_by_the_variable(workspace: Workspace, raw: Path) -> None:
    entry = new_entry(name="mine", kind="folder", root=Path("$MAGICTALK_RAW/clips"))
    assert entry.root == raw / "clips"


def test_a_root_in_the_workspace_moves_with_it(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.home / "raw").mkdir(parents=True)
    add_corpus(workspace, new_entry(name="mine", kind="folder", root=workspace.home / "raw"))
    assert written(workspace, "mine")["root"] == "raw"
    shutil.move(workspace.home, tmp_path / "moved")
    assert load_corpus(Workspace(tmp_path / "moved"), "mine").root == tmp_path / "moved/raw"


def test_a_missing_raw_folder_is_told_with_the_line_to_type(
    workspace: Workspace, raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_corpus(workspace, new_entry(name="mine", kind="folder", root=raw / "clips"))
    monkeypatch.delenv("MAGICTALK_RAW")
    with pytest.raises(UserError, match="export MAGICTALK_RAW=FOLDER") as told:
        load_corpus(workspace, "mine")
    assert str(workspace.corpus_file("mine")) in str(told.value)


def test_the_same_corpus_registers_again_under_either_name(workspace: Workspace, raw: Path) -> None:
    for root in (raw / "clips", Path("$MAGICTALK_RAW/clips")):
        add_corpus(workspace, new_entry(name="mine", kind="folder", root=root))
    with pytest.raises(UserError, match="already registered"):
        add_corpus(workspace, new_entry(name="mine", kind="folder", root=raw))


def test_moved_raw_files_are_the_same_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index is read again from nothing when its identity changes: a moved folder must not change it."""
    from media_fixtures import make_clip

    from magictalk_core.preparation.listing import write_index
    from magictalk_core.presets.preset import load_preset

    workspace = Workspace(tmp_path / "home")
    raw = tmp_path / "raw"
    raw.mkdir()
    monkeypatch.setenv("MAGICTALK_RAW", str(raw))
    make_clip(raw / "a.mp4")
    add_corpus(workspace, new_entry(name="mine", kind="folder", root=raw))
    first = write_index(workspace, "mine", load_preset("sample"))
    before = first.path.stat()
    shutil.move(raw, tmp_path / "elsewhere")
    monkeypatch.setenv("MAGICTALK_RAW", str(tmp_path / "elsewhere"))
    second = write_index(workspace, "mine", load_preset("sample"))
    assert second.md5 == first.md5 and second.path.stat().st_ino == before.st_ino
