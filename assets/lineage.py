"""The lineage report: records against each other, and against what Dagster, DVC and MLflow say of the same things."""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

from collections.abc import Sequence

import dagster as dg

from assets.keys import SHARD_STAGES
from assets.metadata import Timer, materialization
from assets.one_writer import one_writer
from assets.paper import PAPER_KEYS
from assets.records import DATA_VERSION_TAG, recorded_versions
from assets.resources import Store
from assets.retries import retried_when_transient
from magictalk_core.models.families import FAMILIES
from magictalk_core.release.families import RELEASED

GROUP = "lineage"
OWNERS = ["team:magictalk"]
_INSIDE = ("source", "index", "media", "blendshapes", "speech", "clips", "manifest")
_ENDS = ("training_set", "rig", "tables/summary", "videos/comparison")
_BESIDE = (
    "arkit_dataset", "generated", "refined", "scores", "set_scores", "seed_scores", "lip_ablation", "tables/claims",
    "external_videos", "figures/user_study", *sorted(PAPER_KEYS),
)  # fmt: skip
"""Looked at where they are. Ablations and the publishable dataset need not be made for the report of what is there."""


def dagster_versions(instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]) -> dict[tuple[str, str | None], str]:
    """(asset, partition) -> newest data version in the event log, materialized or observed."""
    found: dict[tuple[str, str | None], str] = {}
    for record in instance.get_asset_records(list(keys)):
        made = record.asset_entry.last_materialization
        event = made.asset_materialization if made is not None else None
        version = (event.tags or {}).get(DATA_VERSION_TAG) if event is not None else None
        if event is not None and version is not None:
            found[event.asset_key.to_user_string(), event.partition] = version
    for key in keys:
        name = key.to_user_string()
        if key.path[-1] in SHARD_STAGES:
            found |= {(name, shard): version for shard, version in recorded_versions(instance, key).items()}
        observed = _observed(instance, key) if key.path[-1] == "source" else None
        if observed is not None:
            found[name, None] = observed
    return found


def _observed(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    """The newest observed data version, where there is one."""
    records = instance.fetch_observations(key, limit=1).records
    event = records[0].asset_observation if records else None
    return (event.tags or {}).get(DATA_VERSION_TAG) if event is not None else None


def build_lineage_report_asset(corpora: Sequence[str]) -> dg.AssetsDefinition:
    """`lineage_report` over all that is made but the HTML report, which shows it."""
    key = dg.AssetKey("lineage_report")
    upstream = [dg.AssetKey([corpus, name]) for corpus in corpora for name in ("snapshot", "card")]
    upstream += [dg.AssetKey(["release", family]) for family in RELEASED]
    upstream += [dg.AssetKey(name.split("/")) for name in _ENDS]
    between = [dg.AssetKey([corpus, name]) for corpus in corpora for name in _INSIDE]
    between += [dg.AssetKey(["models", family]) for family in FAMILIES]
    between += [dg.AssetKey(name.split("/")) for name in _BESIDE]

    @dg.asset(
        key=key,
        deps=upstream,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"json", "markdown"},
        code_version="1",
        check_specs=[
            dg.AssetCheckSpec(name, asset=key)
            for name in ("nothing_stale", "nothing_orphaned", "everything_verifiable", "systems_agree")
        ],
        description="What is stale, orphaned or unverifiable, where systems disagree, and what models oblige to.",
    )
    @retried_when_transient
    @one_writer("lineage_report")
    def lineage_report(context: dg.AssetExecutionContext, store: Store) -> dg.MaterializeResult:
        from magictalk_core.lineage.registry import Registry
        from magictalk_core.lineage.report import look_at_lineage, report_markdown, write_lineage_report

        timer = Timer()
        versions = dagster_versions(context.instance, [*between, *upstream])
        registry = Registry.read(store.workspace)
        report = look_at_lineage(store.workspace, versions, registry)
        path, md5 = write_lineage_report(store.workspace, report, registry)
        states = {"nothing_stale": "stale", "nothing_orphaned": "orphaned", "everything_verifiable": "unverifiable"}
        found = {name: [f"{f.name}: {f.why}" for f in report.of(state)] for name, state in states.items()}
        found["systems_agree"] = [str(disagreement) for disagreement in report.disagreements]
        errors = {"everything_verifiable", "systems_agree"}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(md5),
            metadata=materialization(path, md5, timer, report=dg.MetadataValue.md(report_markdown(report)))
            | {state: len(report.of(state)) for state in states.values()}
            | {"disagreements": len(report.disagreements)},
            check_results=[
                dg.AssetCheckResult(
                    passed=not said,
                    check_name=name,
                    severity=dg.AssetCheckSeverity.ERROR if name in errors else dg.AssetCheckSeverity.WARN,
                    metadata={"found": len(said), "first": "; ".join(said[:5])},
                )
                for name, said in found.items()
            ],
        )

    return lineage_report
