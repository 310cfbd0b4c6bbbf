from __future__ import annotations

from pathlib import Path

from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.report.corpus_card import write_card
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS
from magictalk_core.work.manifest import build_manifest
from magictalk_core.workspace import Workspace
from tests.test_corpora_gates import clip


def test_a_card_tells_what_is_in_and_what_is_out(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    add_corpus(workspace, new_entry(name="c", kind="folder", root=tmp_path / "raw"))
    rows = [
        clip("a", duration_s=1800.0, emotion="happy", level=2, licence="CC0"),
        clip("b", duration_s=3600.0, split="test", licence="CC BY 4.0"),
        clip("d", duration_s=60.0, status="rejected", reason="several_faces", detail="x"),
    ]
    write_table(CLIPS, rows, workspace.clips_table("c"))
    manifest = build_manifest(workspace.dataset("c"), workspace.manifest("c"), {"clips.parquet"})
    card = write_card(workspace, "c")
    text = (card.path / "README.md").read_text()
    assert (card.clips, card.accepted, card.hours) == (3, 2, 1.5)
    assert manifest.digest in text and "2 accepted clips of 3, 2 speakers, 1.500 hours" in text
    for line in ("| `several_faces` | 1 |", "| happy | 2 | 1 | 1 | 0.500 |", "| CC BY 4.0 | 1 | 1 | 1.000 |"):
        assert line in text
    assert (card.path / "funnel.svg").read_text().lstrip().startswith("<?xml")
    assert write_card(workspace, "c").md5 == card.md5, "a card is a function of its data"
