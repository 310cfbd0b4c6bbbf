"""The Dagster instance of a workspace: storage under `$MAGICTALK_HOME/dagster`, telemetry off, pools limited."""

from __future__ import annotations

import dagster as dg

from magictalk_core.storage.atomic import write_text
from magictalk_core.workspace import Workspace
from pipelines.executors import executor_choice

__all__ = ["COMMAND_TAG", "DAGSTER_YAML", "end_dead_runs", "open_instance"]

COMMAND_TAG = {"magictalk/command": "run"}
"""On every run that `magictalk run` starts, to tell them from runs of the daemon."""


LIMITED_BY_RAY, POOL_ON_RAY = ("cpu_heavy", "gpu"), 100
"""Pools of which one machine has one place. On a cluster a step waits in Ray for the processors and GPUs it
asks for."""

DAGSTER_YAML = """\
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  pools:
    granularity: op
    default_limit: 1
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 120
python_logs:
  managed_python_loggers: [magictalk]
  python_log_level: INFO
"""


def open_instance(workspace: Workspace) -> dg.DagsterInstance:
    """The instance, its folder and `dagster.yaml` made on first use; `DAGSTER_HOME` for `dagster dev` is the same."""
    workspace.dagster.mkdir(parents=True, exist_ok=True)
    config = workspace.dagster / "dagster.yaml"
    if not config.is_file():
        write_text(config, DAGSTER_YAML)
    instance = dg.DagsterInstance.from_config(str(workspace.dagster))
    if executor_choice() == "ray":
        for pool in LIMITED_BY_RAY:
            instance.event_log_storage.set_concurrency_slots(pool, POOL_ON_RAY)
    return instance


def end_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark the runs of a killed `magictalk run` as failed and free their pool slots; the next run would wait for ever.

    Call it only while holding the workspace's run lock: then no run with `COMMAND_TAG` can be alive.
    """
    unfinished = dg.RunsFilter(
        tags=COMMAND_TAG, statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.NOT_STARTED]
    )
    for run in instance.get_runs(unfinished):
        instance.report_run_failed(run, "the process of this run ended without a word: it was killed")
    for run_id in instance.event_log_storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
