"""Where work runs: settings of the environment, and the seams that they bind. No cluster is needed here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.machines import GENERATION, SHARD, TRAINING
from assets.resources import ClipWorkers, TrainingLauncher, training_module
from magictalk_core.errors import MachineError, UserError
from magictalk_core.work.clip_steps import ClipTask, StepLimits, run_clip_tasks
from magictalk_core.work.isolation import Crash, default_workers, map_isolated
from magictalk_core.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.executors import build_executor, handed_on_variables
from pipelines.instance import DAGSTER_YAML, ON_POSTGRES, POSTGRES, open_instance, write_instance_files
from pipelines.resources import build_resources


def ray_tag(tags: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = json.loads(tags["dagster-ray/config"])
    return found


def test_clips_go_where_the_mapper_says(tmp_path: Path) -> None:
    """`run_clip_tasks` starts no process itself: a mapper that only notes leaves nothing behind but its notes."""
    asked: list[tuple[Any, ...]] = []

    def elsewhere(function: Any, tasks: Sequence[tuple[Any, ...]], **limits: Any) -> Iterator[tuple[int, Any]]:
        asked.append((function, tasks, limits))
        yield 0, None
        yield 1, Crash("died", "signal 9")

    tasks = [ClipTask("c/s/a", "a" * 32, ("a",)), ClipTask("c/s/b", "b" * 32, ("b",))]
    limits = StepLimits(workers=3, timeout_s=7.0, memory_gb=1.5, preload=("json",), mapper=elsewhere)
    outcome = run_clip_tasks("toy", tasks, print, tmp_path, ".parquet", limits)
    assert outcome.computed == 1 and outcome.crashes == {"c/s/b": Crash("died", "signal 9")}
    ((function, calls, told),) = asked
    assert function is print and [call[0] for call in calls] == ["a", "b"]
    assert told == {"workers": 3, "timeout_s": 7.0, "memory_gb": 1.5, "preload": ("json",)}


def test_on_one_machine_nothing_is_elsewhere(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MAGICTALK_EXECUTOR", "MAGICTALK_CLIP_WORKERS", "MAGICTALK_LAUNCHER"):
        monkeypatch.delenv(variable, raising=False)
    resources = build_resources(workspace)
    assert type(resources["clip_workers"]) is ClipWorkers and resources["clip_workers"].mapper is map_isolated
    assert type(resources["launcher"]) is TrainingLauncher
    assert build_executor() is None


@pytest.mark.parametrize(
    ("choice", "executor"), [("in_process", dg.in_process_executor), ("multiprocess", dg.multiprocess_executor)]
)
def test_the_executor_is_a_setting(choice: str, executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGICTALK_EXECUTOR", choice)
    assert build_executor() is executor


def test_unknown_places_are_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGICTALK_EXECUTOR", "celery")
    with pytest.raises(UserError, match="MAGICTALK_EXECUTOR: expected one of in_process, multiprocess, ray"):
        build_executor()
    for variable in ("MAGICTALK_CLIP_WORKERS", "MAGICTALK_LAUNCHER"):
        with monkeypatch.context() as scope, pytest.raises(UserError, match=f"{variable}: expected local or ray"):
            scope.setenv(variable, "moon")
            build_resources(workspace)


def test_a_step_states_its_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGICTALK_STEP_CPUS", "4")
    monkeypatch.setenv("MAGICTALK_STEP_GPUS", "1")
    assert ray_tag(SHARD.op_tags()) == {"num_cpus": 4, "num_gpus": 0}
    assert ray_tag(TRAINING.op_tags()) == ray_tag(GENERATION.op_tags()) == {"num_cpus": 4, "num_gpus": 1}
    on_kubernetes = json.loads(TRAINING.op_tags()["dagster-k8s/config"])["container_config"]["resources"]
    assert on_kubernetes == {"requests": {"cpu": "4"}, "limits": {"nvidia.com/gpu": "1"}}


def test_a_step_that_waits_for_others_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many such steps as processors, their clips and trainings would never get one."""
    monkeypatch.setenv("MAGICTALK_CLIP_WORKERS", "ray")
    monkeypatch.setenv("MAGICTALK_LAUNCHER", "ray")
    for needs in (SHARD, TRAINING):
        assert ray_tag(needs.op_tags()) == {"num_cpus": 0, "num_gpus": 0} and needs.cpus() == 2


def test_every_step_reads_its_needs_when_the_graph_is_built(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that read them on import asked a cluster of single processors for two, and waited for ever."""
    monkeypatch.setenv("MAGICTALK_STEP_CPUS", "0.5")
    steps = [asset.op for asset in build_definitions(workspace).assets or () if isinstance(asset, dg.AssetsDefinition)]
    stated = {step.name: ray_tag(step.tags)["num_cpus"] for step in steps if "dagster-ray/config" in step.tags}
    assert len(stated) > 30 and set(stated.values()) == {0.5}, stated


@pytest.mark.parametrize("text", ["many", "-1", "inf", "nan"])
def test_a_wrong_number_of_processors_is_told(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAGICTALK_STEP_CPUS", text)
    with pytest.raises(UserError, match=f"MAGICTALK_STEP_CPUS: expected a number from 0, found `{text}`"):
        SHARD.op_tags()


def test_workers_can_be_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's share of the processors is not seen from inside: 64 children on a share of 4 would starve."""
    monkeypatch.setenv("MAGICTALK_WORKERS", "3")
    assert default_workers() == 3
    monkeypatch.setenv("MAGICTALK_WORKERS", "0")
    with pytest.raises(UserError, match="MAGICTALK_WORKERS: expected a number of processes from 1"):
        default_workers()


def test_a_training_is_one_command_or_torchrun() -> None:
    assert training_module(1) == ["-m", "magictalk_core.commands.train"]
    assert training_module(4)[:4] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4"]


def test_steps_elsewhere_get_our_variables_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAGICTALK_HOME", "MLFLOW_TRACKING_URI", "PGPASSFILE", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "HOME"):
        monkeypatch.setenv(name, "x")
    handed_on = handed_on_variables()
    assert {"MAGICTALK_HOME", "MLFLOW_TRACKING_URI", "PGPASSFILE"} <= set(handed_on)
    assert not {"PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "HOME"} & set(handed_on)


def test_dagster_stores_in_postgres_when_it_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    config = workspace.dagster / "dagster.yaml"
    write_instance_files(workspace)
    assert config.read_text(encoding="utf-8") == DAGSTER_YAML
    monkeypatch.setenv(POSTGRES, "postgresql+psycopg2://magictalk@127.0.0.1:1/dagster")
    write_instance_files(workspace)
    assert config.read_text(encoding="utf-8") == DAGSTER_YAML + ON_POSTGRES
    config.write_text("telemetry:\n  enabled: false\n", encoding="utf-8")
    with pytest.raises(UserError, match="changed by hand and does not read MAGICTALK_DAGSTER_POSTGRES"):
        write_instance_files(workspace)


def test_a_database_that_does_not_answer_is_told_at_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dagster_postgres", reason="needs the extra postgres: scripts/test-cluster")
    monkeypatch.setenv(POSTGRES, "postgresql+psycopg2://magictalk@127.0.0.1:1/dagster")
    with pytest.raises(MachineError, match="MAGICTALK_DAGSTER_POSTGRES does not answer"):
        open_instance(workspace)


def test_mlflow_in_a_database_needs_a_place_for_artefacts(monkeypatch: pytest.MonkeyPatch) -> None:
    from magictalk_core.training.store import ExperimentStore

    monkeypatch.delenv("MAGICTALK_MLFLOW_ARTIFACTS", raising=False)
    with pytest.raises(UserError, match="export MAGICTALK_MLFLOW_ARTIFACTS"):
        ExperimentStore("postgresql+psycopg2://magictalk@127.0.0.1:1/mlflow")
    with pytest.raises(UserError, match=r"expected postgresql\+psycopg2://"):
        ExperimentStore("postgresql://magictalk@127.0.0.1:1/mlflow")


def test_the_driver_of_the_database_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a password in the address is not repeated."""
    monkeypatch.setenv(POSTGRES, "postgresql://me:secret@127.0.0.1:1/dagster")
    with pytest.raises(UserError, match=r"expected postgresql\+psycopg2://USER@HOST/NAME, found `127") as told:
        open_instance(workspace)
    assert "secret" not in str(told.value)
