"""How much of Dagster's own records is kept: a run costs a file of 150 KB and more, whatever it did."""

from __future__ import annotations

import logging

import dagster as dg

__all__ = ["KEPT_RUNS", "forget_superseded_runs"]

logger = logging.getLogger("magictalk.dagster")

KEPT_RUNS = 100
"""The newest runs stay, and every older one that made what an asset or one of its partitions is now."""


def forget_superseded_runs(instance: dg.DagsterInstance, keep: int = KEPT_RUNS) -> int:
    """Delete finished runs beyond the newest `keep` of which nothing is current any more; returns how many.

    What made a result stands in its provenance record, which no retention touches.
    """
    older = [run for run in instance.get_runs()[keep:] if run.is_finished]
    if not older:
        return 0
    current = _runs_with_current_results(instance)
    superseded = [run for run in older if run.run_id not in current]
    for run in superseded:
        instance.delete_run(run.run_id)
    if superseded:
        logger.info("%d runs of which nothing is current any more are forgotten by Dagster", len(superseded))
    return len(superseded)


def _runs_with_current_results(instance: dg.DagsterInstance) -> set[str]:
    runs: set[str] = set()
    storage = instance.event_log_storage
    for key in instance.all_asset_keys():
        latest = instance.get_latest_materialization_event(key)
        if latest is not None:
            runs.add(latest.run_id)
        ids = storage.get_latest_storage_id_by_partition(key, dg.DagsterEventType.ASSET_MATERIALIZATION)
        if ids:
            found = instance.fetch_materializations(
                dg.AssetRecordsFilter(asset_key=key, storage_ids=list(ids.values())), limit=len(ids)
            )
            runs |= {record.run_id for record in found.records}
    return runs
