from __future__ import annotations

from pathlib import Path

import pytest

from magictalk_core.corpora.registry import add_corpus, list_corpora, load_corpus, new_entry
from magictalk_core.errors import UserError
from magictalk_core.workspace import Workspace


def test_a_corpus_comes_back_as_it_was_added(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    for name in ("zebra", "apes"):
        add_corpus(workspace, new_entry(name=name, kind="mead", root=tmp_path / "raw", licence="mine", views=("top",)))
    assert [entry.name for entry in list_corpora(workspace)] == ["apes", "zebra"]
    entry = load_corpus(workspace, "apes")
    assert (entry.kind, entry.root, entry.licence, entry.views) == ("mead", tmp_path / "raw", "mine", ("top",))


def test_a_root_is_kept_absolute(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raw").mkdir()
    monkeypatch.chdir(tmp_path)
    add_corpus(workspace, new_entry(name="a", kind="folder", root=Path("raw")))
    assert load_corpus(workspace, "a").root == tmp_path / "raw"


def test_adding_again_is_harmless_and_changing_is_deliberate(workspace: Workspace, tmp_path: Path) -> None:
    first = new_entry(name="a", kind="folder", root=tmp_path)
    other = new_entry(name="a", kind="folder", root=tmp_path, licence="other")
    add_corpus(workspace, first)
    add_corpus(workspace, first)
    with pytest.raises(UserError, match="--replace"):
        add_corpus(workspace, other)
    assert load_corpus(workspace, "a") == first
    add_corpus(workspace, other, replace=True)
    assert load_corpus(workspace, "a") == other


@pytest.mark.parametrize("name", ["", "../up", "a b", "Mead", "9lives", "a/b", "report", "x" * 33, "a-b", "é"])
def test_names_that_cannot_be_a_folder_or_an_asset_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError):
        new_entry(name=name, kind="folder", root=tmp_path)


def test_wrong_input_says_what_to_do(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="kind"):
        new_entry(name="a", kind="hollywood", root=tmp_path)
    with pytest.raises(UserError, match="--root"):
        add_corpus(workspace, new_entry(name="a", kind="folder", root=tmp_path / "nowhere"))
    with pytest.raises(UserError, match="--labels"):
        add_corpus(workspace, new_entry(name="a", kind="folder", root=tmp_path, labels=tmp_path / "no.csv"))
    with pytest.raises(UserError, match="labels are for"):
        add_corpus(workspace, new_entry(name="a", kind="mead", root=tmp_path, labels=tmp_path / "no.csv"))
    with pytest.raises(UserError, match="magictalk corpus add"):
        load_corpus(workspace, "../a")


def test_a_damaged_file_names_itself(workspace: Workspace, tmp_path: Path) -> None:
    add_corpus(workspace, new_entry(name="a", kind="folder", root=tmp_path))
    file = workspace.corpus_file("a")
    good = file.read_text(encoding="utf-8")
    for text in (good + "colour: red\n", good.replace("name: a", "name: b"), "[", ""):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=r"corpus\.yaml"):
            load_corpus(workspace, "a")
