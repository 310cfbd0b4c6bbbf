"""The same graph on a Ray cluster of two nodes, and on PostgreSQL. `scripts/test-cluster` runs this."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chain_fixtures import copy_of, new_workspace, run_graph, tiny_preset
from cluster_fixtures import data_versions, need_extra, postgres_server, ray_nodes, with_our_python

from magictalk_core.errors import MachineError
from magictalk_core.work.isolation import Crash
from magictalk_core.workspace import Workspace

pytestmark = [
    pytest.mark.slow,
    # dagster-ray leaves the event loop that it reads a job's messages with, and its sockets, to be collected.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

NEVER_TWICE = {"report", "lineage_report"}
"""They name folders, runs and files as they are signed: they differ between any two runs. Figures and videos have a
version without their signature, whose time does."""
PART = "+models/audio2bs"
"""Preparation, snapshot, training set and one training: a third of the whole graph."""


def compared(versions: dict[str, str]) -> dict[str, str]:
    return {asset: version for asset, version in versions.items() if asset not in NEVER_TWICE}


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[dict[str, str]]:
    need_extra("dagster_ray", "ray")
    with ray_nodes() as variables:
        yield variables


@pytest.fixture
def on_ray(ray_cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (ray_cluster | with_our_python()).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAGICTALK_STEP_CPUS", "1")
    monkeypatch.setenv("MAGICTALK_WORKERS", "1")


@pytest.fixture(scope="module")
def versions_here(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The data versions of `PART` on one machine, with SQLite."""
    workspace = new_workspace(tmp_path_factory.mktemp("part") / "home", tiny_raw)
    run_graph(workspace, tiny_preset(), PART)
    return data_versions(workspace)


@pytest.fixture(scope="module")
def postgres() -> Iterator[dict[str, str]]:
    need_extra("dagster_postgres", "postgres")
    with postgres_server() as variables:
        yield variables


def square(number: int) -> int:
    """A task: negative numbers kill their process."""
    if number < 0:
        os.abort()
    return number * number


def node_of(seconds: float) -> str:
    """The Ray worker that the task's child was started by."""
    time.sleep(seconds)
    return os.environ["RAY_RAYLET_PID"]


def full_disk() -> None:
    raise MachineError("no space left here")


def on_cluster(function: Any, tasks: list[tuple[Any, ...]], timeout_s: float = 60.0) -> dict[int, Any]:
    from pipelines.ray_cluster import map_on_ray

    return dict(map_on_ray(function, tasks, workers=1, timeout_s=timeout_s))


def test_steps_in_processes_of_their_own_make_the_same_index(
    tiny_chain: Workspace, tiny_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGICTALK_EXECUTOR", "multiprocess")
    workspace = new_workspace(tmp_path / "home", tiny_raw)
    report = run_graph(workspace, tiny_preset(), "sample/index")
    assert [outcome.asset for outcome in report.outcomes] == ["sample/index"]
    assert data_versions(workspace)["sample/index"] == data_versions(tiny_chain)["sample/index"]


@pytest.mark.usefixtures("on_ray")
def test_a_task_that_dies_on_the_cluster_costs_itself() -> None:
    outcomes = on_cluster(square, [(3,), (-1,), (4,)])
    assert outcomes == {0: 9, 1: Crash("died", "signal 6"), 2: 16}
    assert on_cluster(time.sleep, [(30,)], timeout_s=1.0) == {0: Crash("timeout", "no result within 1 s")}


@pytest.mark.usefixtures("on_ray")
def test_trouble_of_a_machine_is_told_as_here() -> None:
    with pytest.raises(MachineError, match="no space"):
        on_cluster(full_disk, [()])


@pytest.mark.usefixtures("on_ray")
def test_tasks_spread_over_both_nodes() -> None:
    raylets = set(on_cluster(node_of, [(2.0,)] * 4).values())
    assert len(raylets) == 2, raylets


@pytest.mark.usefixtures("on_ray")
def test_the_graph_on_ray_gives_the_same_data_versions(
    tiny_chain: Workspace, tiny_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAGICTALK_EXECUTOR", "ray")
    workspace = new_workspace(tmp_path / "home", tiny_raw)
    run_graph(workspace, tiny_preset())
    monkeypatch.delenv("MAGICTALK_EXECUTOR")
    assert compared(data_versions(workspace)) == compared(data_versions(tiny_chain))


# First of all, before the environment names a cluster: what it is compared with.
@pytest.mark.usefixtures("versions_here", "on_ray")
def test_clips_and_trainings_on_ray_give_the_same_bytes(
    versions_here: dict[str, str], tiny_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps stay in this process; what is heavy in them goes to the cluster."""
    monkeypatch.setenv("MAGICTALK_CLIP_WORKERS", "ray")
    monkeypatch.setenv("MAGICTALK_LAUNCHER", "ray")
    workspace = new_workspace(tmp_path / "home", tiny_raw)
    run_graph(workspace, tiny_preset(), PART)
    there = data_versions(workspace)
    assert "models/audio2bs" in there and there == versions_here


@pytest.mark.usefixtures("versions_here", "on_ray")
def test_steps_on_ray_with_records_in_postgres_give_the_same_data_versions(
    versions_here: dict[str, str],
    postgres: dict[str, str],
    tiny_raw: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both at once, as on a cluster: steps of both nodes write into one database."""
    for name, value in postgres.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAGICTALK_MLFLOW_ARTIFACTS", (tmp_path / "artifacts").as_uri())
    monkeypatch.setenv("MAGICTALK_EXECUTOR", "ray")
    workspace = new_workspace(tmp_path / "home", tiny_raw)
    run_graph(workspace, tiny_preset(), PART)
    there = data_versions(workspace)
    assert "models/audio2bs" in there and there == versions_here
    assert not list(workspace.home.rglob("*.db")), "Dagster and MLflow left nothing in SQLite"


def test_the_graph_on_postgres_gives_the_same_data_versions(
    postgres: dict[str, str], tiny_chain: Workspace, tiny_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = data_versions(tiny_chain)
    for name, value in postgres.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAGICTALK_MLFLOW_ARTIFACTS", (tmp_path / "artifacts").as_uri())
    workspace = new_workspace(tmp_path / "home", tiny_raw)
    run_graph(workspace, tiny_preset())
    assert compared(data_versions(workspace)) == compared(here)
    assert not list(workspace.home.rglob("*.db")), "Dagster and MLflow left nothing in SQLite"
    assert list((tmp_path / "artifacts").rglob("curves.csv"))


def test_a_second_run_on_postgres_makes_nothing(
    postgres: dict[str, str], tiny_chain: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finished home moves to another database: its files are what counts, not the event log."""
    for name, value in postgres.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAGICTALK_MLFLOW_ARTIFACTS", (tmp_path / "artifacts").as_uri())
    report = run_graph(copy_of(tiny_chain, tmp_path / "moved"), tiny_preset(), "sample/manifest sample/shards")
    computed = [outcome.counts.get("clips_computed", 0) for outcome in report.outcomes]
    assert sum(computed) == 0
