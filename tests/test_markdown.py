"""Names from the data in Markdown: a reader of Markdown gives them back as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from magictalk_core.arkit_dataset.build import build_arkit_dataset
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.evaluation.set_scores import set_scores_markdown
from magictalk_core.report.corpus_card import write_card
from magictalk_core.storage.markdown import code, markdown_table
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, SET_SCORES
from magictalk_core.work.manifest import build_manifest
from magictalk_core.workspace import Workspace
from tests.test_arkit_dataset import _frames
from tests.test_corpora_gates import clip

HOSTILE = (
    "a | b | c",
    "two\nlines\n\n# and a heading",
    "`code` ``more``",
    "<script>alert(1)</script>",
    "![x](http://evil.example/x.png)",
    "[link](javascript:alert(1))",
    "back\\slash \\| pipe",
    "*bold* _thin_ ~~gone~~ $x$ &lt;b&gt;",
    "$\\frac{$ not a formula",
)


def tokens(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def plain(token: Token) -> str:
    return "".join(child.content for child in token.children or () if child.type in ("text", "code_inline"))


def cells(text: str) -> list[list[str]]:
    """The rows of all tables, without their heads; fails on markup that no card of ours has."""
    rows: list[list[str]] = []
    inside = False
    for token in tokens(text):
        assert token.type != "html_block"
        assert not {c.type for c in token.children or ()} & {
            "html_inline",
            "link_open",
            "em_open",
            "strong_open",
            "s_open",
        }
        if token.type == "tbody_open":
            inside = True
        elif token.type == "tbody_close":
            inside = False
        elif token.type == "tr_open" and inside:
            rows.append([])
        elif token.type == "inline" and inside:
            rows[-1].append(plain(token))
    return rows


def seen(value: str) -> str:
    """What is left of a name in a line of a card."""
    return re.sub(r"\s*\n+\s*", " ", value).strip()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_cell_stays_one_cell_with_its_text(name: str) -> None:
    (row,) = cells("\n".join(markdown_table(["a", "b"], [[name, code(name)]])))
    assert row == [seen(name), seen(name)]


@given(st.text(st.sampled_from("ab |\\`*_[]()<>&!#$~\n\r-+1."), max_size=12))
def test_no_text_opens_a_cell_a_row_or_markup(name: str) -> None:
    rows = cells("\n".join(markdown_table(["a", "b"], [[name, "x"], ["y", name]])))
    shown = " ".join(re.sub(r"\s*[\r\n]+\s*", " ", name).split())
    assert [[" ".join(cell.split()) for cell in row] for row in rows] == [[shown, "x"], ["y", shown]]


@pytest.fixture
def hostile(workspace: Workspace, tmp_path: Path) -> Workspace:
    """A corpus whose speakers, labels and licences are all meant to break a page."""
    (tmp_path / "raw").mkdir()
    add_corpus(workspace, new_entry(name="c", kind="folder", root=tmp_path / "raw"))
    rows = [
        clip(str(i), speaker=name, emotion=name, licence=name, n_frames=12, duration_s=0.48)
        for i, name in enumerate(HOSTILE)
    ]
    write_table(CLIPS, rows, workspace.clips_table("c"))
    import pyarrow as pa

    frames = pa.concat_tables([_frames(row["clip_id"], None) for row in rows])
    write_table(FRAMES, frames, workspace.shard_table("c", "blendshapes", "b0"))
    build_manifest(workspace.dataset("c"), workspace.manifest("c"))
    return workspace


def test_the_card_of_a_corpus_shows_hostile_labels_as_text(hostile: Workspace) -> None:
    first = [row[0] for row in cells((write_card(hostile, "c").path / "README.md").read_text())]
    for name in HOSTILE:
        assert first.count(seen(name)) == 2, "once as an emotion, once as a licence"


def test_the_card_of_the_dataset_shows_hostile_labels_as_text(hostile: Workspace) -> None:
    text = (build_arkit_dataset(hostile, ["c"]).path / "README.md").read_text()
    first = [row[0] for row in cells(text.split("---\n", 2)[2])]
    for name in HOSTILE:
        assert first.count(seen(name)) == 2


def test_the_table_of_set_scores_shows_hostile_methods_as_text(tmp_path: Path) -> None:
    columns = {"metric": "diversity", "value": 0.5, "unit": "1", "n": 1, "stand_ins": "none", "detail": "x"}
    write_table(SET_SCORES, [{"method": name, **columns} for name in HOSTILE], tmp_path / "s.parquet")
    text = set_scores_markdown(tmp_path / "s.parquet")
    heads = [plain(t) for before, t in zip(tokens(text), tokens(text)[1:], strict=False) if before.type == "th_open"]
    assert sorted(heads[1:-1]) == sorted(map(seen, HOSTILE)) and len(cells(text)) == 1


def test_numbers_and_gaps_are_left_alone() -> None:
    assert markdown_table(["n"], [[1], [-0.5], ["-"]])[2:] == ["| 1 |", "| -0.5 |", "| - |"]
