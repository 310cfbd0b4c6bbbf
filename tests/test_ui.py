"""Everything that `magictalk run` does, from the browser alone, on a home that is empty at first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from chain_fixtures import preset_file, tiny_preset
from graphql_fixtures import DagsterUi

from magictalk_core.lineage.dvc_data import locked_outputs
from magictalk_core.lineage.dvc_recorded import unlike_their_record
from magictalk_core.preparation.listing import read_index, shards_of
from magictalk_core.release.decisions import DecisionBook
from magictalk_core.release.families import RELEASED
from magictalk_core.training.run import current_run
from magictalk_core.work.manifest import read_manifest
from magictalk_core.workspace import Workspace
from pipelines.executors import EXECUTOR

pytestmark = pytest.mark.slow


@pytest.fixture
def ui(workspace: Workspace, tmp_path: Path) -> Iterator[DagsterUi]:
    """`magictalk ui` on a home that is not there yet."""
    said = tmp_path / "said.txt"
    command = [sys.executable, "-m", "pipelines.cli", "ui", "--home", str(workspace.home), "--port", "3700"]
    with said.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--mlflow-port", "5700"],
            stdout=out,
            stderr=out,
            # A process for each run, not for each step: to load the program thirty times is not what is tested.
            env=os.environ | {"MAGICTALK_PRESET": str(preset_file(workspace, tiny_preset())), EXECUTOR: "in_process"},
        )
    try:
        end = time.monotonic() + 300
        while "Ctrl-C" not in said.read_text():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < end, said.read_text()
            time.sleep(1)
        (line,) = [line for line in said.read_text().splitlines() if line.startswith("Dagster")]
        yield DagsterUi(line.split()[1])
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert "stopped" in said.read_text()
    left = subprocess.run(["pgrep", "-f", str(workspace.home)], capture_output=True, text=True, check=False).stdout
    assert left == "", f"processes that outlived the UI: {left}"


def test_a_clean_home_from_raw_files_to_a_release_by_clicks_alone(
    ui: DagsterUi, workspace: Workspace, tiny_raw: Path
) -> None:
    config = yaml.safe_load((workspace.dagster / "dagster.yaml").read_text())
    assert config["telemetry"] == {"enabled": False} and config["concurrency"]["pools"]["default_limit"] == 1
    form = {"name": "sample", "kind": "sample", "root": str(tiny_raw)}
    assert ui.launch("register_corpus", {"ops": {"add_to_registry": {"config": form}}}) == "SUCCESS"
    ui.reload()

    # One by one, as a backfill starts them: observe, index, a run for each shard.
    assert ui.launch("sample_observe") == "SUCCESS"
    assert ui.launch("sample_index") == "SUCCESS"
    shards = shards_of(read_index(workspace, "sample"))
    assert len(shards) == 2
    stages = [["sample", name] for name in ("media", "blendshapes", "speech")]
    assert ui.backfill(stages, shards).startswith("COMPLETED")
    for name in ("media", "blendshapes", "speech"):
        assert ui.assets()[f"sample/{name}"]["partitionStats"]["numMaterialized"] == 2

    # One click for the rest of the corpus: its shards are found done.
    assert ui.launch("sample_materialize") == "SUCCESS"
    assert _version(ui, "sample/snapshot") == read_manifest(workspace.manifest("sample")).digest

    # What the schedule starts: from the raw files, which did not change, to releases and the report.
    assert ui.launch("retrain") == "SUCCESS"
    assert (workspace.report / "report.html").is_file() and list(workspace.videos.rglob("*.mp4"))
    for family in RELEASED:
        decision = DecisionBook(workspace.releases(family)).latest
        assert decision is not None and decision.action == "first"
        champion = current_run(workspace.models(family))
        assert champion.weights_md5 == _version(ui, f"release/{family}") == decision.champion.weights_md5
    _is_recorded_as_by_the_command(workspace)


def _version(ui: DagsterUi, asset: str) -> str:
    (newest,) = ui.assets()[asset]["assetMaterializations"]
    tags = {tag["key"]: tag["value"] for tag in newest["tags"]}
    return tags["dagster/data_version"]


def _is_recorded_as_by_the_command(workspace: Workspace) -> None:
    """Every result in `dvc.lock` as it lies, and all of it in Git."""
    recorded = set(locked_outputs(workspace.home))
    stages = {"dataset@sample", "training_set", "models-emodiff", "release-emodiff", "scores", "videos-comparison"}
    assert stages | {"arkit_dataset", "lineage_report", "report", "tables-summary"} <= recorded
    assert unlike_their_record(workspace.home) == ()
    command = ["git", "-C", str(workspace.home), "status", "--porcelain"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
