"""The publishable dataset: contents, card, checks, withdrawal, determinism."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from magictalk_core.arkit_dataset.build import build_arkit_dataset
from magictalk_core.arkit_dataset.checks import check_drift, run_checks, signature_gains
from magictalk_core.arkit_dataset.statistics import measure
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.errors import UserError
from magictalk_core.faces.extract import frames_table
from magictalk_core.faces.observation import NO_FACE, FaceObservation
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS, FRAMES
from magictalk_core.vocabulary.arkit import ARKIT_NAMES
from magictalk_core.work.manifest import build_manifest
from magictalk_core.workspace import Workspace
from tests.test_corpora_gates import clip

RAISED = {"happy": ("mouthSmileLeft", "mouthSmileRight"), "angry": ("browDownLeft", "browDownRight")}


def _frames(clip_id: str, emotion: str | None, n: int = 12, tilt: float = 0.0) -> Any:
    rng = np.random.default_rng(len(clip_id) + sum(map(ord, clip_id)))

    def one(i: int) -> FaceObservation:
        if i == 3:
            return NO_FACE
        values = rng.uniform(0.1, 0.3, 52).astype(np.float32)
        for name in RAISED.get(emotion or "", ()):
            values[ARKIT_NAMES.index(name)] += 0.4
        values[ARKIT_NAMES.index("cheekSquintLeft")] += tilt
        values[ARKIT_NAMES.index("tongueOut")] = np.nan
        return FaceObservation(True, 0.9, None, values, np.array([1, 2, 3, 0, 0, -40 - i], np.float32))

    return frames_table(clip_id, map(one, range(n)), "litert-blendshapes/2")


def _corpus(workspace: Workspace, raw: Path, tilt: float = 0.0, mixed_up: bool = False) -> None:
    raw.mkdir(exist_ok=True)
    add_corpus(workspace, new_entry(name="c", kind="folder", root=raw), replace=True)
    rows, tables = [], []
    for speaker, split in (("s1", "train"), ("s2", "val"), ("s3", "test")):
        for emotion in ("neutral", "happy", "angry"):
            name = f"{speaker}-{emotion}"
            row = clip(name, speaker=speaker, split=split, emotion=emotion, level=3, n_frames=12, duration_s=0.48)
            rows.append(row)
            shown = {"happy": "neutral", "neutral": "happy"}.get(emotion, emotion) if mixed_up else emotion
            tables.append(_frames(row["clip_id"], shown, tilt=tilt))
    for name, status in (("bad", "rejected"), ("gone", "withdrawn")):
        row = clip(name, speaker=f"p{name}", status=status, reason="silent" if name == "bad" else "withdrawn")
        rows.append(row)
        tables.append(_frames(row["clip_id"], None))
    write_table(CLIPS, rows, workspace.clips_table("c"))
    import pyarrow as pa

    write_table(FRAMES, pa.concat_tables(tables), workspace.shard_table("c", "blendshapes", "b0"))
    build_manifest(workspace.dataset("c"), workspace.manifest("c"))


def test_the_dataset_loads_with_one_line_and_holds_accepted_clips_only(workspace: Workspace, tmp_path: Path) -> None:
    _corpus(workspace, tmp_path / "raw")
    result = build_arkit_dataset(workspace, ["c"])
    frames = pd.read_parquet(result.path / "data")
    assert (result.clips, result.frames, result.excluded) == (9, 108, 1) and len(frames) == 108
    assert set(ARKIT_NAMES) <= set(frames.columns) and set(frames["speaker"]) == {"s1", "s2", "s3"}
    assert {f.name.split("-")[0]: len(pd.read_parquet(f)) for f in (result.path / "data").iterdir()} == {
        "train": 36,
        "validation": 36,
        "test": 36,
    }
    per_clip = frames.groupby("clip_id")["face_found"].agg(["size", "sum"])
    assert (per_clip["size"] == 12).all() and (per_clip["sum"] == 11).all()
    info = json.loads((result.path / "meta" / "info.json").read_text())
    assert info["features"]["jawOpen"]["range"] == [0.0, 1.0]
    assert "litert-blendshapes" in info["features"]["tongueOut"]["blind_trackers"]
    assert info["total_frames"] == 108 and info["frames_with_face"] == 99
    excluded = pd.read_csv(result.path / "meta" / "excluded.csv")
    assert excluded["reason"].tolist() == ["silent"]
    everything = b"".join(p.read_bytes() for p in result.path.rglob("*") if p.is_file() and p.suffix != ".parquet")
    assert b"gone" not in everything, "withdrawn clips are not even named"
    card = (result.path / "README.md").read_text()
    assert card.startswith("---\n") and 'path: "data/validation-*.parquet"' in card and "| happy | 3 | 3 | 36 |" in card
    assert (result.path / "meta" / "emotions.svg").is_file()


@pytest.mark.slow
def test_the_same_corpora_give_the_same_digest_and_a_change_another(workspace: Workspace, tmp_path: Path) -> None:
    _corpus(workspace, tmp_path / "raw")
    first, second = build_arkit_dataset(workspace, ["c"]), build_arkit_dataset(workspace, ["c"])
    assert first.digest == second.digest
    _corpus(workspace, tmp_path / "raw", tilt=0.5)
    third = build_arkit_dataset(workspace, ["c"])
    assert third.digest != first.digest
    by_name = {finding.name: finding for finding in third.findings}
    assert not by_name["drift"].passed and "cheekSquintLeft" in by_name["drift"].facts
    assert not by_name["left_right_symmetry"].passed
    assert all(finding.passed for finding in second.findings), second.findings


@pytest.mark.slow
def test_drift_stays_found_until_the_data_change_again(workspace: Workspace, tmp_path: Path) -> None:
    def drift() -> tuple[bool, str]:
        result = build_arkit_dataset(workspace, ["c"])
        (found,) = (finding for finding in result.findings if finding.name == "drift")
        written = json.loads((result.path / "meta" / "checks.json").read_text())
        assert next(row for row in written if row["name"] == "drift")["passed"] == found.passed
        return found.passed, result.digest

    _corpus(workspace, tmp_path / "raw")
    assert drift()[0]
    _corpus(workspace, tmp_path / "raw", tilt=0.5)
    passed, digest = drift()
    assert not passed
    assert drift() == (False, digest), "an unchanged run compares with the same earlier dataset"
    assert drift() == (False, digest)
    _corpus(workspace, tmp_path / "raw", tilt=0.5 + 1e-3)
    assert drift()[0], "the dataset before this one had the same level already"


def test_emotions_that_were_mixed_up_are_noticed(workspace: Workspace, tmp_path: Path) -> None:
    _corpus(workspace, tmp_path / "raw", mixed_up=True)
    by_name = {finding.name: finding for finding in build_arkit_dataset(workspace, ["c"]).findings}
    assert not by_name["emotion_signatures"].passed and not by_name["emotion_signatures"].blocking
    assert by_name["emotion_signatures"].facts["happy mouthSmileLeft+mouthSmileRight"] < -0.3


def test_values_out_of_range_nulls_and_dead_channels_are_noticed(workspace: Workspace, tmp_path: Path) -> None:
    _corpus(workspace, tmp_path / "raw")
    result = build_arkit_dataset(workspace, ["c"])
    stats = measure(sorted((result.path / "data").iterdir()))
    channels = stats.channels.copy()
    channels.loc["jawOpen", "max"] = 1.2
    channels.loc["mouthPucker", "nulls"] = 3
    channels.loc["noseSneerLeft", "std"] = 0.0
    found = {f.name: f for f in run_checks(type(stats)(channels, stats.clips), None)}
    assert "jawOpen" in found["values_in_range"].facts and found["values_in_range"].blocking
    assert found["nulls_are_blind_channels"].facts == {"mouthPucker": 3}
    assert list(found["channels_move"].facts) == ["noseSneerLeft"]
    assert check_drift(stats.as_json(), stats.as_json()).passed


def test_statistics_are_those_of_pandas(workspace: Workspace, tmp_path: Path) -> None:
    _corpus(workspace, tmp_path / "raw")
    files = sorted((build_arkit_dataset(workspace, ["c"]).path / "data").iterdir())
    stats, frames = measure(files), pd.concat(map(pd.read_parquet, files))
    frames = frames[frames["face_found"]]
    for name in ("jawOpen", "head_z_cm"):
        row = stats.by_channel()[name]
        values = frames[name].astype(np.float64)
        expected = (len(values), values.mean(), values.std(ddof=0), values.min(), values.max())
        assert [row[k] for k in ("count", "mean", "std", "min", "max")] == pytest.approx(expected)
    assert stats.by_channel()["jawOpen"]["q50"] == pytest.approx(frames["jawOpen"].median(), abs=0.01)
    assert stats.by_channel()["tongueOut"]["count"] == 0


def test_a_speaker_without_neutral_clips_says_nothing() -> None:
    rows = [{"corpus": "c", "speaker": "a", "emotion": "happy", **dict.fromkeys(ARKIT_NAMES, 0.1)}]
    assert signature_gains(pd.DataFrame(rows)) == {}


def test_no_corpus_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="no corpus"):
        build_arkit_dataset(workspace, [])
