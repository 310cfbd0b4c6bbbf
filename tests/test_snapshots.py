"""The workspace as a DVC and Git repository: snapshots that hold the data, told apart, laid out again, copied."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from snapshot_fixtures import TOY, make_dataset, preset_yaml, snapshot, toy_workspace
from typer.testing import CliRunner

from magictalk_core.corpora.withdrawal_log import append_line
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.lineage.dvc_data import locked_outputs, object_path, record_stages
from magictalk_core.lineage.git_history import TRACKED, GitHistory
from magictalk_core.lineage.snapshot_diff import diff_snapshots
from magictalk_core.lineage.snapshots import (
    find_snapshot,
    list_snapshots,
    pull_snapshots,
    push_snapshots,
    restore_snapshot,
)
from magictalk_core.presets.of_workspace import preset_of, set_preset
from magictalk_core.storage.hashes import file_md5, tree_md5
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.storage.parquet import read_table, write_table
from magictalk_core.storage.schema import FRAMES
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from pipelines.dvc_workspace import prepare_repository


def git(folder: Path, *words: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, env=environment
    ).stdout


def status_of(workspace: Workspace, *targets: str) -> Any:
    from dvc.repo import Repo

    with closing(Repo(str(workspace.home))) as repo:
        return repo.status(targets=[f"{workspace.home}/dvc.yaml:{name}" for name in targets] or None)


@pytest.fixture
def toy(tmp_path: Path) -> Workspace:
    return toy_workspace(tmp_path / "home")


def test_a_snapshot_keeps_the_data_and_git_the_small_files(toy: Workspace) -> None:
    commit = snapshot(toy, "snapshot toy")
    assert status_of(toy, f"dataset@{TOY}") == {}
    assert git(toy.home, "status", "--porcelain") == "", "what is ignored is what is no part of TRACKED"
    names = set(git(toy.home, "ls-files").split())
    assert names == {
        ".dvc/.gitignore", ".dvc/config", ".dvcignore", ".gitignore", "dvc.lock", "dvc.yaml", "params.yaml",
        "preset.yaml", "manifests/toy.json", "corpora/toy/corpus.yaml", "corpora/toy/listing.json",
    }  # fmt: skip
    assert git(toy.home, "log", "--format=%H|%an|%ae|%s").strip() == (
        f"{commit}|magictalk|magictalk@localhost|snapshot toy"
    )
    for file in (path for path in toy.dataset(TOY).rglob("*") if path.is_file()):
        assert file_md5(object_path(toy.home, file_md5(file))) == file_md5(file)
        assert file.stat().st_nlink == 2, "linked, not copied"
    assert GitHistory(toy.home).commit("again") is None, "nothing new, no commit"


def test_our_writers_do_not_reach_the_cache_through_a_link(toy: Workspace) -> None:
    snapshot(toy)
    table = toy.dataset(TOY) / "blendshapes" / "0.parquet"
    kept = object_path(toy.home, file_md5(table))
    before = kept.read_bytes()
    write_table(FRAMES, read_table(FRAMES, table).slice(0, 10), table)
    assert table.read_bytes() != before == kept.read_bytes()


def test_an_empty_folder_is_refused_and_recorded_by_nobody(toy: Workspace) -> None:
    stage = f"dataset@{TOY}"
    shutil.rmtree(toy.dataset(TOY))
    toy.dataset(TOY).mkdir()
    with pytest.raises(PermanentError, match="DVC sees no file in it"):
        record_stages(toy.home, [stage])
    assert locked_outputs(toy.home) == {}
    make_dataset(toy)
    record_stages(toy.home, [stage])
    recorded = locked_outputs(toy.home)[stage]
    assert recorded[f"corpora/{TOY}/dataset"]["nfiles"] == 3
    # What hid the files of a workspace from the repository of a checkout: they are there, and DVC does not see them.
    (toy.home / ".dvcignore").write_text("corpora/toy/dataset/*\n", encoding="utf-8")
    with pytest.raises(PermanentError, match="hides it"):
        record_stages(toy.home, [stage])
    assert locked_outputs(toy.home)[stage] == recorded


@pytest.mark.slow
def test_inside_of_another_checkout_the_outer_one_is_left_alone(tmp_path: Path) -> None:
    outer = tmp_path / "project"
    outer.mkdir()
    git(outer, "init", "-q")
    (outer / ".gitignore").write_text("/data/\n/raw/\n/toy.yaml\n", encoding="utf-8")
    git(outer, "add", ".gitignore")
    git(outer, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "-m", "code")
    head = git(outer, "rev-parse", "HEAD")
    workspace = toy_workspace(outer / "data")
    snapshot(workspace)
    assert git(outer, "status", "--porcelain") == "" and git(outer, "rev-parse", "HEAD") == head
    assert locked_outputs(workspace.home)[f"dataset@{TOY}"][f"corpora/{TOY}/dataset"]["nfiles"] == 3
    assert git(workspace.home, "rev-list", "--count", "HEAD").strip() == "1"


def test_a_home_without_git_becomes_a_repository_and_keeps_its_remotes(tmp_path: Path) -> None:
    workspace = toy_workspace(tmp_path / "home")
    shutil.rmtree(workspace.home / ".git")
    for name in (".gitignore", ".dvc/.gitignore"):
        (workspace.home / name).unlink()
    config = workspace.home / ".dvc" / "config"
    config.write_text("[core]\n    no_scm = True\n    remote = r\n['remote \"r\"']\n    url = /x\n", encoding="utf-8")
    prepare_repository(workspace, [TOY])
    snapshot(workspace)
    assert git(workspace.home, "status", "--porcelain") == "" and git(workspace.home, "rev-list", "HEAD")
    assert "no_scm" not in config.read_text()
    from dvc.repo import Repo

    with closing(Repo(str(workspace.home))) as repo:
        assert repo.config["core"]["remote"] == "r" and repo.config["remote"]["r"]["url"] == "/x"


@pytest.mark.slow
def test_a_users_own_repository_gets_no_commit_of_ours_and_commits_can_be_off(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    git(home, "init", "-q")
    workspace = toy_workspace(home)
    from assets.resources import DvcRepository

    dvc = DvcRepository(root=str(home))
    dvc.keep(TOY)
    assert dvc.commit("ours") is None and not GitHistory(home).takes_commits
    with pytest.raises(UserError, match="no snapshot"):
        find_snapshot(workspace, "HEAD")

    ours = toy_workspace(tmp_path / "ours" / "home") if (tmp_path / "ours").mkdir() is None else workspace
    git(ours.home, "config", "magictalk.commit", "false")
    dvc = DvcRepository(root=str(ours.home))
    assert dvc.keep(TOY) == tree_md5(ours.dataset(TOY)) and dvc.commit("off") is None
    git(ours.home, "config", "magictalk.commit", "true")
    assert dvc.commit("on") is not None


@pytest.mark.slow
def test_the_program_git_is_not_needed(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; import sys\n"
        "from snapshot_fixtures import toy_workspace, snapshot\n"
        "from magictalk_core.lineage.snapshots import list_snapshots\n"
        "w = toy_workspace(Path(sys.argv[1])); snapshot(w); print(len(list_snapshots(w)))"
    )
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    environment = os.environ | {"PATH": str(tmp_path / "none"), "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "home")],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("1")


def test_a_commit_never_names_data_that_nobody_kept(toy: Workspace) -> None:
    first = snapshot(toy)
    make_dataset(toy, shifted={"toy/m1-happy/1": 0.1})  # a manifest that no snapshot followed
    set_preset(toy, "paper")
    from magictalk_core.lineage.snapshots import commit_workspace

    commit = commit_workspace(toy, "results")
    assert commit is not None
    history = GitHistory(toy.home)
    for pattern in ("manifests/*.json", "dvc.lock"):
        assert history.files(commit, pattern) == history.files(first, pattern)
    with pytest.raises(UserError, match="dataset of toy is in no snapshot"):
        restore_snapshot(toy, first)


def test_snapshots_are_listed_and_found(toy: Workspace) -> None:
    assert list_snapshots(toy) == []
    one = snapshot(toy, "snapshot one")
    digest = tree_md5(toy.dataset(TOY))
    other_digest = make_dataset(toy, shifted={"toy/m1-happy/1": 0.1})
    two = snapshot(toy, "snapshot two")
    (toy.tables).mkdir()
    (toy.tables / "metrics.json").write_text("{}")
    from magictalk_core.lineage.snapshots import commit_workspace

    assert commit_workspace(toy, "results: none") is not None
    found = list_snapshots(toy)
    assert [each.id for each in found] == [two, one], "results alone are no other state"
    assert [each.datasets for each in found] == [{TOY: other_digest}, {TOY: digest}]
    for ref in (one, one[:10], "HEAD~2", digest, digest[:12]):
        assert find_snapshot(toy, ref).id == one, ref
    for ref in ("HEAD~9", "abcdef0", "nothing"):
        with pytest.raises(UserError, match="magictalk snapshot list"):
            find_snapshot(toy, ref)


def test_the_difference_names_clips_verdicts_and_channels(toy: Workspace) -> None:
    speakers = {"m1": "train", "m2": "train", "w1": "train", "w2": "val", "w3": "test"}
    one = snapshot(toy)
    gone = {name: split for name, split in speakers.items() if name != "w1"} | {"x1": "train"}
    make_dataset(toy, speakers=gone, voiceless=("toy/m2-sad/1",))
    two = snapshot(toy)
    (corpus,) = diff_snapshots(toy, one, two).corpora
    assert corpus.added == tuple(f"toy/x1-{e}/{n}" for e in ("happy", "sad") for n in (1, 2))
    assert corpus.removed == tuple(f"toy/w1-{e}/{n}" for e in ("happy", "sad") for n in (1, 2))
    assert [(d.clip_id, d.before, d.after) for d in corpus.decided] == [("toy/m2-sad/1", "ok", "rejected: no_audio")]
    assert corpus.changed == {"toy/m2-sad/1": ("n_frames",)}
    back = diff_snapshots(toy, two, one).corpora[0]
    assert back.added == corpus.removed and back.removed == corpus.added

    make_dataset(toy, speakers=gone, voiceless=("toy/m2-sad/1",), shifted={"toy/x1-sad/1": 0.5})
    now = diff_snapshots(toy, two)
    assert now.other == "now" and now.frames_before == now.frames_after == 40 * 19
    assert now.corpora[0].tables == ("blendshapes/0.parquet",) and not now.corpora[0].changed
    moved = [shift.channel for shift in now.channels if shift.distance > 0]
    assert moved == ["mouthSmileLeft"]
    smile = now.channels[0]
    # 40 of 760 frames went from 0.05 to 0.55.
    assert smile.mean_after - smile.mean_before == pytest.approx(0.5 / 19, abs=1e-3)
    assert smile.distance == pytest.approx(1 / 19, abs=1e-3)
    assert diff_snapshots(toy, two, two).corpora == () == diff_snapshots(toy, two, two).channels


def test_a_restore_brings_back_data_preset_and_corpora_and_loses_nothing(toy: Workspace, tmp_path: Path) -> None:
    values = preset_of(toy).model_dump(mode="json")
    one, digest = snapshot(toy, "snapshot one"), tree_md5(toy.dataset(TOY))
    append_line(toy, "Ada", "a letter", action="withdraw", kind="clip", names=("elsewhere/s/1",))
    other = make_dataset(toy, shifted={"toy/m1-happy/1": 0.1})
    set_preset(toy, str(preset_yaml(tmp_path / "other.yaml", values | {"name": "other"})))
    (toy.corpora / "later").mkdir()
    (toy.corpora / "later" / "corpus.yaml").write_text("name: later\n", encoding="utf-8")
    two = snapshot(toy, "snapshot two")

    told: list[Workspace] = []
    done = restore_snapshot(toy, one[:10], after=told.append)
    assert told == [toy] and done.unregistered == ("later",)
    assert tree_md5(toy.dataset(TOY)) == digest and preset_of(toy).name == "tiny"
    assert status_of(toy, f"dataset@{TOY}") == {} and git(toy.home, "status", "--porcelain") == ""
    assert (toy.home / "withdrawals.jsonl").is_file(), "a withdrawal is never undone by going back"
    assert [each.id for each in list_snapshots(toy)] == [done.commit, two, one]

    restore_snapshot(toy, two)
    assert tree_md5(toy.dataset(TOY)) == other and preset_of(toy).name == "other"
    assert (toy.corpora / "later" / "corpus.yaml").is_file()


@pytest.mark.slow
def test_a_restore_tells_what_the_cache_has_lost(toy: Workspace) -> None:
    one = snapshot(toy)
    lost = object_path(toy.home, file_md5(toy.dataset(TOY) / "blendshapes" / "0.parquet"))
    make_dataset(toy, shifted={"toy/m1-happy/1": 0.1})
    snapshot(toy)
    lost.unlink()
    with pytest.raises(PermanentError, match="magictalk snapshot pull"):
        diff_snapshots(toy, one)
    with pytest.raises(PermanentError, match="magictalk snapshot pull"):
        restore_snapshot(toy, one)


def test_a_fresh_clone_pulls_the_same_data_from_another_folder(toy: Workspace, tmp_path: Path) -> None:
    digest = tree_md5(toy.dataset(TOY))
    snapshot(toy)
    with pytest.raises(UserError, match="dvc remote add --default"):
        push_snapshots(toy)
    command = [sys.executable, "-m", "dvc", "remote", "add", "-q", "--default", "storage", str(tmp_path / "store")]
    subprocess.run(command, cwd=toy.home, check=True)
    assert push_snapshots(toy) == 4, "three tables and the list of them"
    clone = Workspace(tmp_path / "clone")
    git(tmp_path, "clone", "-q", str(toy.home), str(clone.home))
    assert pull_snapshots(clone) == 4
    assert tree_md5(clone.dataset(TOY)) == digest and status_of(clone, f"dataset@{TOY}") == {}
    assert GitHistory(clone.home).takes_commits
    # What plain DVC does with the same clone.
    shutil.rmtree(clone.dataset(TOY))
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "pull"], cwd=clone.home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert tree_md5(clone.dataset(TOY)) == digest


@pytest.mark.slow
def test_parameters_of_two_snapshots_are_compared_by_dvc(toy: Workspace, tmp_path: Path) -> None:
    snapshot(toy)
    values = preset_of(toy).model_dump(mode="json")
    values["quality"]["min_sharpness"] = 7.5
    set_preset(toy, str(preset_yaml(tmp_path / "other.yaml", values)))
    from dvc.repo import Repo

    with closing(Repo(str(toy.home))) as repo:
        changed = repo.params.diff("HEAD")["diff"]["preset.yaml"]
    assert changed["quality.min_sharpness"]["new"] == 7.5 and len(changed) == 1


def test_the_commands(toy: Workspace) -> None:
    def call(*words: str) -> Any:
        return CliRunner().invoke(app, ["snapshot", *words, "--home", str(toy.home)])

    one, digest = snapshot(toy, "snapshot one"), tree_md5(toy.dataset(TOY))
    make_dataset(toy, voiceless=("toy/m2-sad/1",))
    snapshot(toy, "snapshot two")
    rows = json.loads(call("list", "--json").stdout)
    assert [row["reason"] for row in rows] == ["snapshot two", "snapshot one"] and rows[1][
        "datasets"
    ] == f"toy {digest}"
    told = call("diff", one[:10]).output
    assert "toy/m2-sad/1: ok -> rejected: no_audio" in told and "accepted frames  800 -> 760" in told
    (diff,) = json.loads(call("diff", "HEAD~1", "HEAD", "--json").stdout)
    assert diff["corpora"][0]["decided"][0]["after"] == "rejected: no_audio" and len(diff["channels"]) > 40
    assert "hold the same data" in call("diff", "HEAD").output
    with held_or_refused(toy.run_lock, "it"):
        refused = call("restore", one)
    assert refused.exit_code == 2 and "in use by process" in refused.output
    done = call("restore", one)
    assert done.exit_code == 0 and tree_md5(toy.dataset(TOY)) == digest, done.output
    assert call("restore", "HEAD~99").exit_code == 2 and call("push").exit_code == 2


def test_what_git_tracks_is_small() -> None:
    assert not any(name.startswith(("models", "videos", "cache")) or "dataset/" in name for name in TRACKED)
