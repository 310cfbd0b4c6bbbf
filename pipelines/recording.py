"""What `magictalk run` records of its results at its end, recorded step by step where a job has no such end.

Jobs of the UI, the schedule and the daemon, a backfill and a click on one asset leave what the command leaves: each
result in `dvc.lock`, the small files in Git. Datasets are recorded by `<c>/snapshot`, whoever starts it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from pipelines.dvc_workspace import record_results, recorded_assets
from pipelines.instance import COMMAND_TAG

__all__ = ["with_recording"]


def with_recording(assets: Iterable[Any]) -> list[Any]:
    """The assets, those that are stages of `dvc.yaml` with a hook that records them after each of their steps."""
    recorded = recorded_assets()

    def told(asset: Any) -> Any:
        if isinstance(asset, dg.AssetsDefinition) and asset.key.to_user_string() in recorded:
            return asset.with_hooks({_record(asset.key.to_user_string())})
        return asset

    return [told(asset) for asset in assets]


def _record(asset: str) -> dg.HookDefinition:
    @dg.success_hook(name=f"record_{asset.replace('/', '_')}", required_resource_keys={"store"})
    def record(context: dg.HookContext) -> None:
        run = context.instance.get_run_by_id(context.run_id)
        # The command records everything together.
        if run is None or not COMMAND_TAG.items() <= run.tags.items():
            record_results(context.resources.store.workspace, [asset])

    return record
