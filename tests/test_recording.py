"""What is in `dvc.lock` and Git after a job, whoever started it; and that nothing is looked at twice for nothing."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from snapshot_fixtures import TOY, make_dataset, preset_yaml, snapshot, toy_workspace
from typer.testing import CliRunner

from magictalk_core.errors import PermanentError
from magictalk_core.lineage import dvc_data
from magictalk_core.lineage.dvc_data import locked_outputs, object_path, record_stages
from magictalk_core.lineage.dvc_recorded import recorded_as_they_lie, unlike_their_record
from magictalk_core.lineage.snapshots import restore_snapshot
from magictalk_core.presets.of_workspace import preset_of, set_preset
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import SCORES
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from pipelines.definitions import build_definitions
from pipelines.instance import COMMAND_TAG, open_instance

STAGE = "tables-summary"


@pytest.fixture
def toy(tmp_path: Path) -> Workspace:
    """With a snapshot and a table of scores."""
    workspace = toy_workspace(tmp_path / "home")
    snapshot(workspace)
    facts = {"method": "magictalk", "metric": "jaw_open_correlation", "unit": "1", "stand_ins": "none"}
    rows = [{"clip_id": f"toy/w3-sad/{n}", "value": 0.5 + n / 10, **facts} for n in (1, 2)]
    write_table(SCORES, rows, workspace.scores / "scores.parquet")
    return workspace


def summarize(workspace: Workspace, tags: dict[str, str] | None = None) -> bool:
    """The step `tables/summary` in a run with such tags."""
    job = build_definitions(workspace).resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey(["tables", "summary"])]
    return job.execute_in_process(asset_selection=keys, instance=open_instance(workspace), tags=tags or {}).success


def dvc_status(workspace: Workspace, *stages: str) -> set[str]:
    """Those of `stages` that `dvc status` complains of."""
    from dvc.repo import Repo

    with closing(Repo(str(workspace.home))) as repo:
        found = repo.status([f"{workspace.home}/dvc.yaml:{stage}" for stage in stages])
    return {name.split(":")[-1] for name in found}


def newest_commit(workspace: Workspace, said: str = "%s") -> str:
    command = ["git", "-C", str(workspace.home), "log", "-1", f"--format={said}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_job_of_the_ui_records_its_results_as_the_command_does(toy: Workspace) -> None:
    """The command does so at its end, for all together: its runs are left to it."""
    assert summarize(toy, dict(COMMAND_TAG)) and STAGE not in locked_outputs(toy.home)
    assert summarize(toy)
    table, means = toy.tables / "summary.csv", toy.tables / "metrics.json"
    recorded = {name: out["md5"] for name, out in locked_outputs(toy.home)[STAGE].items()}
    assert recorded == {"tables/summary.csv": file_md5(table), "tables/metrics.json": file_md5(means)}
    assert dvc_status(toy, STAGE) == set() and newest_commit(toy) == f"results: {STAGE}"


def test_what_is_recorded_is_known_without_dvc_and_any_difference_is_seen(toy: Workspace) -> None:
    summarize(toy)
    dataset = f"dataset@{TOY}"
    both = {dataset, STAGE}
    assert recorded_as_they_lie(toy.home, [*both]) == both and dvc_status(toy, *both) == set()

    def seen(*stages: str) -> bool:
        return recorded_as_they_lie(toy.home, [*both]) == both - set(stages)

    def changed(path: Path, text: str, *stages: str) -> bool:
        """Whether another content of the file is seen, and the former one known again."""
        whole = path.read_bytes()
        path.write_text(text, encoding="utf-8")
        is_seen = seen(*stages)
        path.write_bytes(whole)
        return is_seen and seen()

    assert changed(toy.tables / "summary.csv", "x", STAGE), "an output"
    assert changed(toy.scores / "scores.parquet", "x", STAGE), "an input: a file in a folder"
    assert changed(toy.listing(TOY), "{}", dataset), "an input"
    quality = toy.preset.read_text(encoding="utf-8").replace("min_sharpness: ", "min_sharpness: 1")
    assert changed(toy.preset, quality, dataset), "a setting that the stage reads"
    assert changed(toy.home / ".dvcignore", "a/**/b/\n", *both), "a pattern that is not understood: DVC looks"
    more = toy.scores / "more.txt"
    more.write_text("x")
    assert seen(STAGE), "a file that came"
    more.unlink()
    (toy.scores / ".scores.parquet.provenance.json").write_text("{}")
    assert seen(), "what DVC ignores"
    lost = object_path(toy.home, file_md5(toy.clips_table(TOY)))
    lost.rename(toy.home / "lost")
    assert seen(dataset), "data that the cache has lost"
    (toy.home / "lost").rename(lost)
    make_dataset(toy, shifted={"toy/m1-happy/1": 0.1})
    assert seen(dataset)


def test_unchanged_stages_are_recorded_without_loading_dvc(toy: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (toy.home / "dvc.lock").read_bytes()

    def never(home: Path) -> None:
        raise AssertionError("DVC was opened")

    monkeypatch.setattr(dvc_data, "_opened", never)
    record_stages(toy.home, [f"dataset@{TOY}"])
    assert (toy.home / "dvc.lock").read_bytes() == before
    make_dataset(toy, shifted={"toy/m1-happy/1": 0.1})
    with pytest.raises(AssertionError, match="DVC was opened"):
        record_stages(toy.home, [f"dataset@{TOY}"])


@pytest.mark.slow
def test_a_restore_names_what_is_of_newer_data(toy: Workspace) -> None:
    summarize(toy)
    one = newest_commit(toy, "%H")
    assert restore_snapshot(toy, one).newer == ()
    table = pd.read_parquet(toy.scores / "scores.parquet")
    write_table(SCORES, table.assign(value=0.25), toy.scores / "scores.parquet")
    make_dataset(toy, shifted={"toy/m1-happy/1": 0.1})
    snapshot(toy)
    summarize(toy)
    said = CliRunner().invoke(app, ["snapshot", "restore", one, "--home", str(toy.home)]).output
    assert 'magictalk run --select "tables/summary"' in said
    assert dvc_status(toy, f"dataset@{TOY}", STAGE) == {STAGE}
    summarize(toy)
    assert unlike_their_record(toy.home) == () and dvc_status(toy, f"dataset@{TOY}", STAGE) == set()


@pytest.mark.slow
def test_what_docs_promise_of_dvc_between_two_commits(toy: Workspace, tmp_path: Path) -> None:
    """`dvc diff`, `dvc params diff` and `dvc metrics diff HEAD~1`, as docs/snapshots.md says."""
    from dvc.repo import Repo

    summarize(toy)
    values = preset_of(toy).model_dump(mode="json")
    values["quality"]["min_sharpness"] = 7.5
    set_preset(toy, str(preset_yaml(tmp_path / "other.yaml", values)))
    make_dataset(toy, shifted={"toy/m1-happy/1": 0.1})
    snapshot(toy)
    table = pd.read_parquet(toy.scores / "scores.parquet")
    write_table(SCORES, table.assign(value=0.25), toy.scores / "scores.parquet")
    summarize(toy)
    with closing(Repo(str(toy.home))) as repo:
        files = repo.diff("HEAD~2", "HEAD")
        settings = repo.params.diff("HEAD~2", "HEAD")["diff"]["preset.yaml"]
        means = repo.metrics.diff("HEAD~1", "HEAD")["diff"]["tables/metrics.json"]
    # Of the datasets: the results that follow from them are recorded by hash alone, and Git holds the tables.
    changed = {one["path"] for one in files["modified"]}
    assert changed == {f"corpora/{TOY}/dataset/", f"corpora/{TOY}/dataset/blendshapes/0.parquet"}
    assert {name: one["new"] for name, one in settings.items()} == {"quality.min_sharpness": 7.5}
    mean = means["magictalk.jaw_open_correlation"]
    assert mean["old"] == pytest.approx(0.65) and mean["new"] == 0.25


def test_a_damaged_lock_is_for_dvc_to_tell(toy: Workspace) -> None:
    for text in ("stages: [", "", "schema: '2.0'\nstages: 3\n"):
        (toy.home / "dvc.lock").write_text(text)
        assert recorded_as_they_lie(toy.home, [f"dataset@{TOY}"]) == frozenset()
    with pytest.raises(PermanentError, match=r"dvc\.lock"):
        record_stages(toy.home, [f"dataset@{TOY}"])


def test_a_module_that_asks_what_is_recorded_is_light() -> None:
    heavy = "('dvc', 'mlflow', 'torch')"
    code = f"import sys, magictalk_core.lineage.dvc_data; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
