"""Test sets by name: MEAD's own rule, the actors of the literature, who drives whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from magictalk_core.config import PictureConfig
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.test_sets import NAMED_SETS, clips_of_set, driving_clip, is_last_of_cell
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS
from magictalk_core.workspace import Workspace
from tests.test_corpora_gates import clip


def mead_clip(speaker: str, emotion: str, number: int, **labels: Any) -> dict[str, Any]:
    name = f"{speaker}-{emotion}-{number:03d}"
    values: dict[str, Any] = {"speaker": speaker, "emotion": emotion, "level": 1, "split": "test", **labels}
    return clip(name, **values)


def workspace_of(workspace: Workspace, raw: Path, kind: str, rows: list[dict[str, Any]]) -> Workspace:
    raw.mkdir(exist_ok=True)
    options = {} if kind == "folder" else {"split": "rank"}
    add_corpus(workspace, new_entry(name="c", kind=kind, root=raw, **options))
    write_table(CLIPS, rows, workspace.clips_table("c"))
    return workspace


def names(found: list[tuple[str, str]]) -> set[str]:
    return {clip_id.split("/")[-1] for _, clip_id in found}


def test_the_last_ten_neutral_clips_and_the_last_six_of_every_other_cell_are_tested() -> None:
    cells = [("W1", "neutral", 1, 12), ("W1", "happy", 1, 8), ("W1", "happy", 3, 4), ("M2", "happy", 1, 7)]
    rows = [
        {"clip_id": f"c/{s}/{e}-{level}-{i:03d}", "speaker": s, "emotion": e, "level": level, "view": "front"}
        for s, e, level, n in cells
        for i in range(n)
    ]
    chosen = is_last_of_cell(pd.DataFrame(rows).sample(frac=1, random_state=0))
    last = {clip_id for clip_id, tested in chosen.items() if tested}
    left_out = {row["clip_id"] for row in rows} - last
    assert left_out == {
        "c/W1/neutral-1-000",
        "c/W1/neutral-1-001",
        "c/W1/happy-1-000",
        "c/W1/happy-1-001",
        "c/M2/happy-1-000",
    }


def test_a_named_set_chooses_among_what_is_held_out(workspace: Workspace, tmp_path: Path) -> None:
    rows = [mead_clip(s, e, i) for s in ("M003", "M030", "M005") for e in ("happy", "angry") for i in range(8)]
    rows += [mead_clip("W009", "happy", 1, split="train")]
    workspace_of(workspace, tmp_path / "raw", "mead", rows)
    assert len(clips_of_set(workspace, ["c"], "held_out")) == 48
    eat = names(clips_of_set(workspace, ["c"], "mead_eat"))
    assert len(eat) == 32 and not any(name.startswith(("M005", "W009")) for name in eat), "W009 was trained on"
    edtalk = names(clips_of_set(workspace, ["c"], "mead_edtalk"))
    assert eat - edtalk == {f"M030-angry-{i:03d}" for i in range(8)}
    last = names(clips_of_set(workspace, ["c"], "mead_eat_last"))
    assert last == {name for name in eat if int(name[-3:]) >= 2}
    few = clips_of_set(workspace, ["c"], "mead_eat", 3)
    assert len(few) == 3 and names(few) <= eat and {name[:4] for name in names(few)} == {"M003", "M030"}
    with pytest.raises(PermanentError, match="no held-out clip of the test set `hdtf`"):
        clips_of_set(workspace, ["c"], "hdtf")


def test_ten_seconds_of_hdtf() -> None:
    assert NAMED_SETS["hdtf"].most_frames() == 250 and NAMED_SETS["held_out"].most_frames() is None
    assert NAMED_SETS["hdtf"].most_frames(2.0) == 50 and NAMED_SETS["held_out"].most_frames(0.4) == 10


def test_the_setting_knows_the_sets_that_there_are() -> None:
    annotation = PictureConfig.model_fields["test_set"].annotation
    assert set(annotation.__args__) == set(NAMED_SETS)  # type: ignore[union-attr]


def test_another_person_drives_where_there_is_one() -> None:
    clips = [("c", f"c/s/{i}") for i in range(4)]
    speakers = {"c/s/0": "A", "c/s/1": "A", "c/s/2": "B", "c/s/3": "B"}
    drivers = {clip: driving_clip(clips, clip, speakers) for _, clip in clips}
    assert drivers == {"c/s/0": "c/s/2", "c/s/1": "c/s/2", "c/s/2": "c/s/0", "c/s/3": "c/s/0"}
    alone = driving_clip(clips[:2], "c/s/1", speakers)
    assert alone == "c/s/0", "one speaker only: another clip of theirs"
    with pytest.raises(PermanentError, match="only clip"):
        driving_clip(clips[:1], "c/s/0", speakers)
