"""Folders of finished videos, what a person says of a system, and the commands around both."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from external_fixtures import FRAMES_PER_CLIP, checkout_of, config_of, held_out, with_external
from typer.testing import CliRunner

from magictalk_core.config import ExternalConfig
from magictalk_core.errors import UserError
from magictalk_core.evaluation.external.choice import new_config
from magictalk_core.evaluation.external.finished import match_videos
from magictalk_core.evaluation.external.systems import SYSTEMS
from magictalk_core.evaluation.external.videos import external_files, make_external_videos
from magictalk_core.media.encode import write_video
from magictalk_core.presets.of_workspace import preset_of
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import EXTERNAL_VIDEOS
from magictalk_core.work.provenance import record_of
from magictalk_core.workspace import Workspace
from pipelines.cli import app

CLIPS = ["mead/M003/001", "mead/M003/002", "mead/W009/002", "hdtf/RD_a/000"]


def a_video(path: Path, frames: int = FRAMES_PER_CLIP, value: int = 90) -> Path:
    write_video(path, [np.full((64, 64, 3), value, np.uint8)] * frames, 25, None)
    return path


def test_files_are_matched_by_the_id_of_their_clip(tmp_path: Path) -> None:
    names = {
        "mead/M003/001.mp4": "mead/M003/001",
        "mead-M003-002.MOV": "mead/M003/002",
        "sub/folder/mead__W009__002.avi": "mead/W009/002",
        "000.webm": "hdtf/RD_a/000",
    }
    for name in (*names, "002.mp4", "notes.txt", "another.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    match = match_videos(tmp_path, CLIPS)
    assert {path.relative_to(tmp_path).as_posix(): clip for clip, path in match.found.items()} == names
    # `002` could be two clips, so it is none; what is no video is not spoken of.
    assert [path.name for path in match.unmatched] == ["002.mp4", "another.mp4"]
    assert not match.missing and not match.ambiguous


def test_what_is_missing_and_what_is_there_twice_is_told(tmp_path: Path) -> None:
    for name in ("mead-M003-001.mp4", "mead_M003_001.mp4", "other.mp4"):
        (tmp_path / name).touch()
    match = match_videos(tmp_path, CLIPS)
    assert match.lines() == [
        "several for mead/M003/001: mead-M003-001.mp4, mead_M003_001.mp4",
        "missing: mead/M003/002",
        "missing: mead/W009/002",
        "missing: hdtf/RD_a/000",
        f"unmatched: {tmp_path / 'other.mp4'}",
    ]
    with pytest.raises(UserError, match="no folder of finished videos"):
        match_videos(tmp_path / "none", CLIPS)


def test_finished_videos_are_taken_as_they_are(workspace: Workspace, tmp_path: Path) -> None:
    held_out(workspace, tmp_path / "raw", ("a", "b", "d", "e"))
    folder = tmp_path / "finished"
    given = a_video(folder / "c-s-a.mp4")
    a_video(folder / "b.mp4", frames=5)  # half a video
    (folder / "d.mp4").write_bytes(given.read_bytes()[:400])
    a_video(folder / "nobody.mp4")
    preset = with_external(ExternalConfig(system="another_system", videos=folder))
    result = make_external_videos(workspace, ["c"], preset)
    rows = read_frame(EXTERNAL_VIDEOS, workspace.external_videos).set_index("clip_id")
    assert rows["reason"].astype(object).where(rows["reason"].notna(), None).to_dict() == {
        "c/s/a": None,
        "c/s/b": "wrong_length",
        "c/s/d": "unreadable",
        "c/s/e": "missing",
    }
    assert (result.made, result.failed) == (1, 3) and [path.name for path in result.unmatched] == ["nobody.mp4"]
    path = external_files(workspace)["another_system"]["c/s/a"]
    assert file_md5(path) == file_md5(given)
    record = record_of(path)
    assert record is not None and ("video_file", file_md5(given)) in {(one.kind, one.md5) for one in record.inputs}
    # Mended and added: those alone are looked at again.
    a_video(folder / "e.mp4")
    assert make_external_videos(workspace, ["c"], preset).computed == 1


def test_a_system_that_is_gone_takes_its_videos_with_it(workspace: Workspace, tmp_path: Path) -> None:
    held_out(workspace, tmp_path / "raw")
    folder = tmp_path / "finished"
    a_video(folder / "a.mp4")
    make_external_videos(workspace, ["c"], with_external(ExternalConfig(system="another", videos=folder)))
    assert (workspace.external / "another").is_dir()
    result = make_external_videos(workspace, ["c"], with_external())
    assert (result.made, result.failed) == (0, 0) and external_files(workspace) == {}
    assert not (workspace.external / "another").exists() and record_of(result.path) is not None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"system": "eamm"}, "expected `checkout` and `python`, or `videos` alone"),
        ({"system": "eamm", "checkout": Path("/c")}, "expected `checkout` and `python`"),
        ({"system": "eamm", "videos": Path("/v"), "checkout": Path("/c"), "python": Path("/p")}, "alone"),
        ({"system": "eamm", "videos": Path("v")}, "absolute"),
        ({"system": "Our System", "videos": Path("/v")}, "system"),
        ({"system": "unknown", "checkout": Path("/c"), "python": Path("/p")}, "no adapter `unknown`"),
        ({"system": "eamm", "videos": Path("/v"), "environment": ["HOME"]}, "NAME=VALUE"),
        ({"system": "eamm", "videos": Path("/v"), "size": "512"}, "WIDTHxHEIGHT"),
        ({"system": "eamm", "videos": Path("/v"), "timeout_s": 0}, "timeout_s"),
    ],
)
def test_what_cannot_be_a_system_is_refused_at_once(values: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        new_config(**values)  # type: ignore[arg-type]


def test_the_commands_configure_list_run_and_tell(workspace: Workspace, tmp_path: Path) -> None:
    held_out(workspace, tmp_path / "raw")
    system = SYSTEMS["sadtalker"]
    checkout = checkout_of(system, tmp_path / "checkout")
    (checkout / system.needs[1].path).unlink()
    python = str(config_of(system, checkout).python)
    folder = tmp_path / "finished"
    a_video(folder / "a.mp4")

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--home", str(workspace.home)])
        assert done.exit_code == 0, done.output
        return done.stdout if "--json" in words else done.output

    said = run("compare", "add", "sadtalker", "--checkout", str(checkout), "--python", python, "--argument", "--still")
    assert "compares with sadtalker" in said and f"lacks weights: {checkout / system.needs[1].path}" in said
    said = run("compare", "add", "ours_elsewhere", "--videos", str(folder))
    assert "1 of 2 test clips have a video" in said and "missing: c/s/b" in said
    stored = yaml.safe_load(workspace.preset.read_text())["evaluation"]["external"]
    assert [one["system"] for one in stored] == ["sadtalker", "ours_elsewhere"] and stored[0]["arguments"] == [
        "--still"
    ]
    listed = {one["system"]: one for one in json.loads(run("compare", "list", "--json"))}
    assert set(listed) == {*SYSTEMS, "ours_elsewhere"} and len(listed["sadtalker"]["lacks"]) == 1
    assert "compare add eamm" in listed["eamm"]["lacks"][0]
    facts = json.loads(run("compare", "run", "--json"))[0]
    assert (facts["made"], facts["failed"], facts["computed"]) == (1, 3, 1)
    failed = json.loads(run("compare", "failed", "--json"))
    assert {(one["method"], one["reason"]) for one in failed} == {
        ("sadtalker", "not_ready"),
        ("ours_elsewhere", "missing"),
    }
    assert "1 videos, 1 without" in run("compare", "list")
    run("compare", "remove", "sadtalker")
    assert [one.system for one in preset_of(workspace).evaluation.external] == ["ours_elsewhere"]
