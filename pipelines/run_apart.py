"""A run whose steps have processes of their own, on this machine or on others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from magictalk_core.workspace import Workspace
from pipelines.definitions import build_definitions

__all__ = ["asset_job", "execute_apart"]


def asset_job(home: str) -> dg.JobDefinition:
    """The job over all assets of a workspace, as a step's process makes it again."""
    return build_definitions(Workspace(Path(home))).resolve_implicit_global_asset_job_def()


def execute_apart(
    workspace: Workspace,
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetKey],
    tags: dict[str, str],
    run_config: dict[str, Any],
) -> Any:
    """Materialize `keys` in one run of the chosen executor; its result, whether it failed or not."""
    job = dg.build_reconstructable_job(
        "pipelines.run_apart", "asset_job", reconstructable_kwargs={"home": str(workspace.home)}
    )
    with dg.execute_job(
        job, instance, run_config=run_config, tags=tags, asset_selection=list(keys), raise_on_error=False
    ) as result:
        return result
