"""The one policy by which Dagster's daemon starts work by itself. Every automatic asset has it; no other is written.

A policy that reacts to a *state*, such as "failed" or "stale", asks for the same hopeless work at every tick: one
public platform counted 368,000 failed runs in fourteen days. This one reacts to *events*, and remembers each until it
has asked for a run:

- an upstream data version that is another one (a run that makes the same bytes is no event);
- a new code version of the asset itself;
- the asset missing for the first time.

A failure is no event. What failed waits for new data, new code or a hand; errors that pass are retried in the run
itself (`assets.retries`). GPU work is never automatic: the schedule `retrain` trains, behind its gate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from assets.keys import SHARD_STAGES
from pipelines.jobs import INDEX, RECORD_STAGES

__all__ = ["automatic_assets", "build_automation_sensor", "on_data_or_code_change", "with_automation"]

_TOGETHER = ("arkit_dataset", "training_set")


def on_data_or_code_change(watched: Iterable[dg.AssetKey]) -> dg.AutomationCondition[Any]:
    """Ask for an asset once after an event: `watched` are the upstream assets whose data count.

    It waits while one of them, or the asset itself, is being made. Shards are no part of `watched`: a corpus of
    hundreds would never be whole at any tick; `<corpus>/shards` makes them all in one run.
    """
    upstream = dg.AssetSelection.assets(*watched)
    changed = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed()).allow(upstream)
    event = changed | dg.AutomationCondition.code_version_changed() | dg.AutomationCondition.newly_missing()
    waiting = event.since(dg.AutomationCondition.newly_requested())
    busy = dg.AutomationCondition.any_deps_in_progress().allow(upstream) | dg.AutomationCondition.in_progress()
    incomplete = dg.AutomationCondition.any_deps_missing().allow(upstream)
    return (waiting & ~busy & ~incomplete).with_label("on_data_or_code_change")


def automatic_assets(corpora: Sequence[str]) -> set[dg.AssetKey]:
    """CPU work from the raw files to the training set."""
    stages = (INDEX, "shards", *RECORD_STAGES)
    return {dg.AssetKey([corpus, stage]) for corpus in corpora for stage in stages} | set(map(dg.AssetKey, _TOGETHER))


def with_automation(assets: Iterable[Any], corpora: Sequence[str]) -> list[Any]:
    """The assets, those of `automatic_assets` with the policy."""
    automatic = automatic_assets(corpora)

    def told(spec: dg.AssetSpec) -> dg.AssetSpec:
        if spec.key not in automatic:
            return spec
        watched = [dep.asset_key for dep in spec.deps if dep.asset_key.path[-1] not in SHARD_STAGES]
        return spec.replace_attributes(automation_condition=on_data_or_code_change(watched))

    return [next(iter(dg.map_asset_specs(told, [a]))) if isinstance(a, dg.AssetsDefinition) else a for a in assets]


def build_automation_sensor(corpora: Sequence[str]) -> dg.AutomationConditionSensorDefinition:
    """Evaluates the policy; shipped stopped."""
    return dg.AutomationConditionSensorDefinition(
        "on_data_or_code_change",
        target=dg.AssetSelection.assets(*automatic_assets(corpora)),
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=60,
        description="Brings CPU work up to date after new data or new code, once per event; a failure is no event.",
    )
