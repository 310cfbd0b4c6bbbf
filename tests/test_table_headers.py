"""What the header of a table says, and that its hash does not move with what did not determine it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from media_fixtures import make_clip

from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.preparation.listing import write_index
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.parquet import table_metadata
from magictalk_core.work import circumstances
from magictalk_core.workspace import Workspace


def test_thresholds_stand_in_the_header_and_neither_commit_nor_preset_move_the_hash(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "raw").mkdir()
    make_clip(tmp_path / "raw" / "a.mp4", 1.0, size="64x48")
    add_corpus(workspace, new_entry(name="mine", kind="folder", root=tmp_path / "raw"))
    strict = Preset.model_validate({"name": "strict", "quality": {"min_duration_s": 30.0}})
    made = write_index(workspace, "mine", strict)
    header = table_metadata(made.path)
    assert json.loads(header["settings"])["quality"]["min_duration_s"] == 30.0

    renamed = strict.model_dump() | {"name": "other", "evaluation": {"max_videos": 7}}
    other = circumstances.CodeUsed(version="9", commit="f" * 40, dirty=True)
    monkeypatch.setattr(circumstances, "code_used", lambda: other)
    made.path.unlink()
    assert write_index(workspace, "mine", Preset.model_validate(renamed)).md5 == made.md5
    loose = Preset.model_validate({"name": "strict", "quality": {"min_duration_s": 0.5}})
    assert write_index(workspace, "mine", loose).md5 != made.md5
