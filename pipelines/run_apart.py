"""Runs whose steps have processes of their own, on this machine or on others."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from magictalk_core.errors import PermanentError
from magictalk_core.work.isolation import Crash, map_isolated
from magictalk_core.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.instance import open_instance

__all__ = ["EndedRun", "asset_job", "execute_apart", "execute_shards_apart"]

ANY_ASSETS = "any_assets"

RUNS_AT_ONCE = 16
"""A process here waits for each run, with Dagster in 150 MB; the work waits on the cluster."""

_A_WEEK_S = 7 * 24 * 3600.0


@dataclass(frozen=True)
class EndedRun:
    """What `failures.failure_of` asks of a run, read from the event log after it ended."""

    run_id: str
    success: bool
    all_events: Sequence[dg.DagsterEvent]


def asset_job(home: str) -> dg.JobDefinition:
    """The job over all assets of a workspace, as a step's process makes it again."""
    everything = dg.define_asset_job(ANY_ASSETS, dg.AssetSelection.all())
    definitions = dg.Definitions.merge(
        build_definitions(Workspace(Path(home)), recording=False), dg.Definitions(jobs=[everything])
    )
    return definitions.resolve_job_def(ANY_ASSETS)


def execute_apart(
    workspace: Workspace,
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetKey],
    tags: Mapping[str, str],
    run_config: Mapping[str, Any],
) -> EndedRun:
    """Materialize `keys` in one run of the chosen executor, whether it fails or not."""
    job = dg.build_reconstructable_job(
        "pipelines.run_apart", "asset_job", reconstructable_kwargs={"home": str(workspace.home)}
    )
    with dg.execute_job(
        job, instance, run_config=dict(run_config), tags=dict(tags), asset_selection=list(keys), raise_on_error=False
    ) as result:
        return EndedRun(result.run_id, result.success, result.all_events)


def execute_shards_apart(
    workspace: Workspace,
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetKey],
    shards: Sequence[str],
    tags: Mapping[str, str],
    run_config: Mapping[str, Any],
) -> Iterator[EndedRun]:
    """A run of `keys` for each shard, side by side, as they end; one that fails leaves the others alone.

    Each is followed by a child process: Dagster's runs of one process wait for each other for ever when they are in
    threads.
    """
    names, environment = [key.to_user_string() for key in keys], dict(os.environ)
    tasks = [(str(workspace.home), names, shard, dict(tags), dict(run_config), environment) for shard in shards]
    ended = map_isolated(
        _follow_shard, tasks, workers=RUNS_AT_ONCE, timeout_s=_A_WEEK_S, preload=("pipelines.run_apart",)
    )
    for index, outcome in ended:
        if isinstance(outcome, Crash):
            raise PermanentError(f"the run of shard {shards[index]} {outcome.kind}: {outcome.detail}")
        run_id, success = outcome
        events = [entry.dagster_event for entry in instance.all_logs(run_id)]
        yield EndedRun(run_id, success, [event for event in events if event is not None])


def _follow_shard(
    home: str,
    keys: Sequence[str],
    shard: str,
    tags: dict[str, str],
    run_config: dict[str, Any],
    environment: dict[str, str],
) -> tuple[str, bool]:
    # The server that this process is a fork of may be older than the choice of an executor.
    os.environ.clear()
    os.environ.update(environment)
    workspace = Workspace(Path(home))
    found = [dg.AssetKey.from_user_string(key) for key in keys]
    tags = {**tags, "dagster/partition": shard}
    with open_instance(workspace) as instance:
        ended = execute_apart(workspace, instance, found, tags, run_config)
    return ended.run_id, ended.success
