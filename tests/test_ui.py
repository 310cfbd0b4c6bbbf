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

from magictalk_core.preparation.listing import read_index, shards_of
from magictalk_core.work.manifest import read_manifest
from magictalk_core.workspace import Workspace

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
            env=os.environ | {"MAGICTALK_PRESET": str(preset_file(workspace, tiny_preset()))},
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


def test_a_clean_home_from_raw_files_to_the_report_by_clicks_alone(
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
    snapshot = ui.assets()["sample/snapshot"]["assetMaterializations"][0]["tags"]
    digest = read_manifest(workspace.manifest("sample")).digest
    assert {"key": "dagster/data_version", "value": digest} in snapshot

    assert ui.launch("train_and_evaluate") == "SUCCESS"
    assert (workspace.report / "report.html").is_file() and list(workspace.videos.rglob("*.mp4"))
