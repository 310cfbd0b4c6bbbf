"""The sync gate of the training set: late speech is left out or moved back, a stranger is left out, all on record."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from training_fixtures import FEATURE_ID, lip_preset, preset, write_tables

from benchmarks.read_corpus import make_corpus
from magictalk_core.config import SyncGateConfig, TrainingSetConfig
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.evaluation.generate import test_clips as read_test_clips
from magictalk_core.models.sync_expert.family import SYNC_EXPERT
from magictalk_core.models.sync_expert.judge import open_judge
from magictalk_core.presets.preset import load_preset
from magictalk_core.speech.features import WHISPER
from magictalk_core.storage.parquet import read_frame, write_table
from magictalk_core.storage.schema import CLIPS
from magictalk_core.training.run import train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.build import Excluded, TrainingSetInfo, build_training_set
from magictalk_core.training_set.dataset import TrainingSet, moved_back, out_of_sync
from magictalk_core.training_set.shard_clips import CorpusTables
from magictalk_core.training_set.sync_gate import SyncGate
from magictalk_core.vocabulary.shipped import BASE
from magictalk_core.workspace import Workspace

FRAMES, LATE = 80, 10
LATE_CLIP = "toy/m1-happy/1"
DEAF_CLIP = "toy/w3-sad/2"
"""Its speech is that of another place of the corpus, so far away that no shift fits."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> CorpusTables:
    late = {LATE_CLIP: LATE, DEAF_CLIP: FRAMES // 2}
    return write_tables(tmp_path_factory.mktemp("late"), frames_per_clip=FRAMES, late=late)


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained before, on clips in sync."""
    folder = tmp_path_factory.mktemp("before")
    sound = write_tables(folder / "tables", frames_per_clip=FRAMES)
    build_training_set({"toy": sound}, preset().training_set, FEATURE_ID, folder / "set")
    train(SYNC_EXPERT, lip_preset(epochs=10), folder / "set", folder / "sync_expert", MemoryTracker())
    return folder / "sync_expert"


def gated(tables: CorpusTables, expert: Path, out: Path, **gate: object) -> TrainingSetInfo:
    # Own speech has a confidence above 0.5 here, strange speech about 0.1: the threshold is far from both.
    settings = SyncGateConfig.model_validate({"expert": str(expert), "threshold": 0.3, **gate})
    config = TrainingSetConfig.model_validate({**preset().training_set.model_dump(), "sync_gate": settings})
    return build_training_set({"toy": tables}, config, FEATURE_ID, out, gate=SyncGate.open(settings, open_judge))


def verdicts(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "sync_gate.csv").set_index("clip_id")


def clip(out: Path, clip_id: str) -> tuple[np.ndarray, np.ndarray]:
    data = TrainingSet.open(out)
    row = data.index.set_index("clip_id").loc[clip_id]
    part = slice(int(row["start"]), int(row["start"] + row["length"]))
    return np.array(data.states[part]), np.array(data.features[part])


def test_what_is_out_of_sync_is_left_out_with_its_reason(tables: CorpusTables, expert: Path, tmp_path: Path) -> None:
    info = gated(tables, expert, tmp_path / "set", action="reject")
    table = verdicts(tmp_path / "set")
    assert len(table) == 20 and info.counts["clips"] == 18 and info.counts["clips_speaker_mismatch"] == 2
    assert dict(table["verdict"].value_counts()) == {"matched": 18, "shifted": 1, "mismatch": 1}
    assert table.loc[LATE_CLIP, "verdict"] == "shifted" and table.loc[LATE_CLIP, "offset"] == LATE
    assert table.loc[DEAF_CLIP, "verdict"] == "mismatch"
    assert set(table.index[table["reason"] == "speaker_mismatch"]) == {LATE_CLIP, DEAF_CLIP}
    assert not {LATE_CLIP, DEAF_CLIP} & set(TrainingSet.open(tmp_path / "set").index["clip_id"])
    assert out_of_sync(tmp_path / "set") == {LATE_CLIP, DEAF_CLIP}


def test_late_speech_is_moved_back(tables: CorpusTables, expert: Path, tmp_path: Path) -> None:
    info = gated(tables, expert, tmp_path / "set", action="correct")
    assert info.counts["clips_speech_moved"] == 1 and info.counts["clips_speaker_mismatch"] == 1
    states, features = clip(tmp_path / "set", LATE_CLIP)
    assert len(states) == FRAMES - LATE
    jaw = states[:, TrainingSet.open(tmp_path / "set").channels.index("jawOpen")]
    assert np.corrcoef(jaw, features[:, 0])[0, 1] > 0.9
    # Not scored either: in its corpus the clip lies as it came.
    assert out_of_sync(tmp_path / "set") == {LATE_CLIP, DEAF_CLIP} > moved_back(tmp_path / "set") == {LATE_CLIP}
    assert verdicts(tmp_path / "set").loc[LATE_CLIP, "method"] == "sync_expert"


def test_a_report_changes_nothing_but_the_record(tables: CorpusTables, expert: Path, tmp_path: Path) -> None:
    with_report = gated(tables, expert, tmp_path / "set", action="report")
    assert with_report.counts["clips"] == 20 and out_of_sync(tmp_path / "set") == frozenset()
    assert verdicts(tmp_path / "set").loc[LATE_CLIP, "verdict"] == "shifted"
    without = build_training_set({"toy": tables}, preset().training_set, FEATURE_ID, tmp_path / "plain")
    assert with_report.digest != without.digest and not (tmp_path / "plain" / "sync_gate.csv").exists()
    for name in ("states.npy", "features.npy", "index.parquet"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    said = json.loads((tmp_path / "set" / "info.json").read_text())["sync_gate"]
    assert said["action"] == "report" and len(said["expert"]) >= 32


def test_a_clip_too_short_to_slide_stays_without_a_verdict(expert: Path, tmp_path: Path) -> None:
    short = write_tables(tmp_path / "short", frames_per_clip=30, late={LATE_CLIP: LATE})
    info = gated(short, expert, tmp_path / "set", action="reject")
    assert info.counts["clips"] == 20 and set(verdicts(tmp_path / "set")["verdict"]) == {"unjudged"}


def test_errors_name_the_setting(tables: CorpusTables, expert: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sync_gate\.expert: no folder"):
        gated(tables, tmp_path / "nowhere", tmp_path / "set")
    with pytest.raises(PermanentError, match=r"passes the sync gate"):
        gated(tables, expert, tmp_path / "set", threshold=2.0)
    assert not (tmp_path / "set").exists()


def test_the_expert_of_the_package_leaves_what_it_does_not_know_as_it_is(tmp_path: Path) -> None:
    tables = write_tables(tmp_path / "tables", frames_per_clip=FRAMES, feature=(WHISPER, 384), late={LATE_CLIP: LATE})
    settings = load_preset("base").training_set.sync_gate
    assert (settings.expert, settings.action) == (BASE, "correct")
    config = preset().training_set.model_copy(update={"sync_gate": settings})
    gate = SyncGate.open(settings, open_judge, own_models=tmp_path / "models")
    info = build_training_set({"toy": tables}, config, WHISPER, tmp_path / "set", gate=gate)
    table = verdicts(tmp_path / "set")
    # Numbers that no voice makes: whatever it thinks of them, nothing is left out.
    assert info.counts["clips"] == len(table) == 20 and table["kept"].all() and set(table["method"]) == {"linear_sync"}
    assert (table["verdict"] == "unsure").any() and table["confidence"].between(0, 1.0001).all()
    said = json.loads((tmp_path / "set" / "info.json").read_text())["sync_gate"]
    assert said["action"] == "correct" and said["expert"] == gate.digest


def test_where_one_camera_took_all_test_clips_they_are_scored_as_they_lie(
    tmp_path: Path,
) -> None:
    make_corpus(Workspace(tmp_path), clips=4, shards=1)
    workspace = Workspace(tmp_path)
    path = workspace.clips_table("c")
    clips = read_frame(CLIPS, path)
    write_table(CLIPS, clips.assign(split="test", status="ok"), path)
    every = [("c", str(clip)) for clip in sorted(clips["clip_id"])]
    assert sorted(read_test_clips(workspace, ["c"])) == every
    workspace.training_set.mkdir(parents=True)

    def found(shifts: list[int], kept: list[bool]) -> list[tuple[str, str]]:
        table = pd.DataFrame({"clip_id": [clip for _, clip in every], "kept": kept, "shift": shifts})
        table.to_csv(workspace.training_set / "sync_gate.csv", index=False)
        return sorted(read_test_clips(workspace, ["c"]))

    assert found([0, -3, 0, -4], [True] * 4) == [every[0], every[2]]
    assert found([-3] * 4, [True] * 4) == every
    assert found([-3, -3, 0, 0], [True, True, False, False]) == every[:2]


def test_an_expert_of_the_own_workspace_is_refused(expert: Path) -> None:
    """Each run would change the training set, which would train the expert again, which would change the set."""
    with pytest.raises(UserError, match=r"every run would change both: copy it"):
        SyncGate.open(SyncGateConfig(expert=str(expert)), open_judge, own_models=expert.parent)


def test_an_expert_without_a_threshold_says_so(tables: CorpusTables, tmp_path: Path) -> None:
    """Trained without validation clips it knows no threshold; 0 would find nothing, silently."""
    held_out = [f"toy/w2-{e}/{n}" for e in ("happy", "sad") for n in (1, 2)]
    excluded = {clip: Excluded(clip, "copy", "of another") for clip in held_out}
    build_training_set({"toy": tables}, preset().training_set, FEATURE_ID, tmp_path / "set", excluded)
    made = train(SYNC_EXPERT, lip_preset(epochs=1), tmp_path / "set", tmp_path / "sync_expert", MemoryTracker())
    with pytest.raises(UserError, match=r"knows no threshold: set training_set\.sync_gate\.threshold"):
        SyncGate.open(SyncGateConfig(expert=str(made.path)), open_judge)
    assert SyncGate.open(SyncGateConfig(expert=str(made.path), threshold=0.2), open_judge).threshold == 0.2
