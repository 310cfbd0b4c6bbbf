from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from magictalk_core.corpora.kinds import KINDS, corpus_of
from magictalk_core.corpora.registry import add_corpus, list_corpora, load_corpus, new_entry, view_names
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
    with pytest.raises(UserError, match="no kind of corpus: expected mead, hdtf"):
        new_entry(name="a", kind="hollywood", root=tmp_path)
    with pytest.raises(UserError, match="--root"):
        add_corpus(workspace, new_entry(name="a", kind="folder", root=tmp_path / "nowhere"))
    with pytest.raises(UserError, match="--labels"):
        add_corpus(workspace, new_entry(name="a", kind="folder", root=tmp_path, labels=tmp_path / "no.csv"))
    with pytest.raises(UserError, match="labels are for"):
        add_corpus(workspace, new_entry(name="a", kind="mead", root=tmp_path, labels=tmp_path / "no.csv"))
    for kind, options, message in (
        ("hdtf", {"split": "eat"}, "no split `eat`: expected auto, rank, train"),
        ("hdtf", {"views": ("front",)}, "no camera views"),
        ("mead", {"views": ("behind",)}, "no view `behind`: expected front, down, "),
        ("mead", {"buckets": 3}, "shards of kind mead are its speakers"),
    ):
        with pytest.raises(UserError, match=message):
            new_entry(name="a", kind=kind, root=tmp_path, **options)
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


def test_what_the_user_leaves_open_is_for_the_kind_to_say(tmp_path: Path) -> None:
    mead = corpus_of(new_entry(name="a", kind="mead", root=tmp_path))
    assert (mead.split, mead.views, mead.buckets, mead.licence) == ("eat", ("front",), None, KINDS["mead"].licence)
    assert len(corpus_of(new_entry(name="a", kind="mead", root=tmp_path, views=view_names("all"))).views) == 7
    talking = corpus_of(new_entry(name="a", kind="talkinghead1kh", root=tmp_path, licence="mine"))
    assert (talking.split, talking.views, talking.buckets, talking.licence) == ("official", (), 64, "mine")
    made = corpus_of(new_entry(name="a", kind="hdtf", root=tmp_path, synthetic=True))
    sample = corpus_of(new_entry(name="a", kind="sample", root=tmp_path))
    assert [corpus.is_synthetic for corpus in (mead, made, sample)] == [False, True, True]


def test_the_registry_of_kinds_is_light() -> None:
    """The command line reads it for its help texts."""
    code = "import sys, magictalk_core.corpora.kinds; print([m for m in ('pandas', 'torch', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
