"""Releases: the newest model of a family against the champion, and the alias moved when it is better."""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

from collections.abc import Sequence

import dagster as dg

from assets.links import mlflow_link, mlflow_version_link
from assets.machines import GENERATION
from assets.metadata import Timer, materialization
from assets.one_writer import one_writer
from assets.resources import Settings, Store
from assets.retries import retried_when_transient
from magictalk_core.release.families import RELEASE_VERSION, RELEASED

GROUP = "release"
OWNERS = ["team:magictalk"]
NEEDS = {
    "emodiff": ("models/emodiff",),
    "audio2bs": ("models/audio2bs",),
    "lip_residue": ("models/lip_residue", "release/audio2bs", "release/sync_expert"),
    "sync_expert": ("models/sync_expert",),
}
"""What a release looks at beside the test clips. Lips are judged by the expert in use."""
NEWEST_IN_USE, ABOVE_FLOOR = "newest_model_in_use", "first_model_above_baseline"


def build_release_assets(corpora: Sequence[str]) -> list[dg.AssetsDefinition]:
    """`release/<family>` for every family that generates or judges."""
    return [_build_release_asset(family, corpora) for family in RELEASED]


def _build_release_asset(family: str, corpora: Sequence[str]) -> dg.AssetsDefinition:
    key = dg.AssetKey(["release", family])

    @dg.asset(
        key=key,
        deps=["training_set", *(dg.AssetKey(need.split("/")) for need in NEEDS[family])],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"mlflow", "torch"},
        pool="gpu",
        op_tags=GENERATION.op_tags(),
        code_version=RELEASE_VERSION,
        check_specs=[dg.AssetCheckSpec(name, asset=key) for name in (NEWEST_IN_USE, ABOVE_FLOOR)],
        description=f"Which {family} is in use: MLflow's alias `champion`, moved only when the newest model is better.",
    )
    @retried_when_transient
    @one_writer(f"release/{family}")
    def release(context: dg.AssetExecutionContext, store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.release.release import release_newest
        from magictalk_core.training.run import run_named

        timer = Timer()
        tags = {"dagster.run_id": context.run.run_id, "dagster.asset_key": f"release/{family}"}
        decision = release_newest(store.workspace, corpora, settings.load(), family, tags)
        champion = decision.champion
        reason = {"decision": decision.action, "reason": decision.reason}
        model, run = f"magictalk-{family}", run_named(store.workspace.models(family), champion.run).run_id
        tracked = {"mlflow.run_id": run, "mlflow.url": mlflow_link(store.workspace, run)} if run else {}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(champion.weights_md5),
            metadata=materialization(store.workspace.releases(family), champion.weights_md5, timer)
            | reason
            | tracked
            | {
                "mlflow.model": model,
                "mlflow.version_url": mlflow_version_link(store.workspace, model, champion.version),
                "mlflow.version": str(champion.version),
                "mlflow.challenger": str(decision.challenger.version),
                "comparison": dg.MetadataValue.md(decision.markdown()),
            },
            check_results=[
                dg.AssetCheckResult(
                    passed=decision.is_in_use,
                    check_name=NEWEST_IN_USE,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata=reason,
                    description="the newest model is the champion, or is now; else the champion before it stays in use",
                ),
                dg.AssetCheckResult(
                    passed=decision.is_above_floor is not False,
                    check_name=ABOVE_FLOOR,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"found": str(decision.floor[0]) if decision.floor else "not looked at"},
                    description="a first model is better than the best baseline that nobody needs to train",
                ),
            ],
        )

    return release
