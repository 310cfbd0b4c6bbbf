"""The training set and the models. Training runs outside Dagster, through Pipes, as the plain command it also is."""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from assets.columns import of_arkit_dataset
from assets.keys import RENDERERS
from assets.machines import CPU_WORK, GENERATION, TRAINING
from assets.metadata import Timer, materialization
from assets.one_writer import one_writer
from assets.resources import Settings, Store, TrainingLauncher
from assets.retries import retried_when_transient
from assets.trained import trained_metadata
from assets.training_failure import told_failures
from magictalk_core.errors import PermanentError
from magictalk_core.models.families import FAMILIES
from magictalk_core.storage.schema import ARKIT
from magictalk_core.training.family import ModelFamily

GROUP = "models"
WITHDRAWN_ABSENT = "withdrawn_absent"
OWNERS = ["team:magictalk"]


def _withdrawn_absent(store: Store, table: Path) -> dg.AssetCheckResult:
    """Whether no clip of a table of clips is withdrawn: by name, by file, by signature."""
    import pyarrow.parquet as pq

    from magictalk_core.lineage.withdraw import duplicate_limit
    from magictalk_core.preparation.withdrawn import withdrawn_among

    clips = pq.read_table(table, columns=["clip_id"])["clip_id"].to_pylist()
    found = withdrawn_among(store.workspace, clips, duplicate_limit(store.workspace))
    return dg.AssetCheckResult(
        passed=not found,
        check_name=WITHDRAWN_ABSENT,
        metadata={"clips": len(found), "first": "; ".join(found[:20])},
        description="no clip in it is withdrawn, under whatever name: `magictalk withdraw list`",
    )


def build_training_set_asset(corpora: Sequence[str]) -> dg.AssetsDefinition:
    """`training_set` over the manifests of all registered corpora."""

    @dg.asset(
        key="training_set",
        deps=[dg.AssetKey([c, name]) for c in corpora for name in ("manifest", "snapshot")],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"numpy", "parquet"},
        op_tags=CPU_WORK.op_tags(),
        code_version="2",
        check_specs=[
            dg.AssetCheckSpec(name, asset="training_set", blocking=True)
            for name in ("splits_disjoint", WITHDRAWN_ABSENT)
        ],
        description="Packed float32 arrays, index, normalisation and splits of every accepted clip.",
    )
    @retried_when_transient
    @one_writer("training_set")
    def training_set(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.models.sync_expert.judge import open_judge
        from magictalk_core.training_set.assemble import assemble_training_set, split_leaks, training_corpora

        timer = Timer()
        preset = settings.load()
        info = assemble_training_set(store.workspace, corpora, preset, open_judge)
        packed = training_corpora(store.workspace, corpora, preset.training_set)
        leaks = split_leaks(store.workspace, packed)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(info.digest),
            metadata=materialization(store.workspace.training_set, info.digest, timer) | info.counts,
            check_results=[
                dg.AssetCheckResult(
                    passed=not leaks, check_name="splits_disjoint", metadata={"leaks": "; ".join(leaks[:20])}
                ),
                _withdrawn_absent(store, store.workspace.training_set / "index.parquet"),
            ],
        )

    return training_set


def build_arkit_dataset_asset(corpora: Sequence[str]) -> dg.AssetsDefinition:
    """`arkit_dataset` over the manifests of all registered corpora, with its sanity and drift checks."""
    key = dg.AssetKey("arkit_dataset")
    blocking = {"values_in_range", "nulls_are_blind_channels"}
    names = (*sorted(blocking), "channels_move", "left_right_symmetry", "emotion_signatures", "drift")

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([c, name]) for c in corpora for name in ("manifest", "snapshot")],
        group_name="datasets",
        owners=OWNERS,
        kinds={"parquet", "markdown"},
        op_tags=CPU_WORK.op_tags(),
        code_version="2",
        check_specs=[
            *(dg.AssetCheckSpec(name, asset=key, blocking=name in blocking) for name in names),
            dg.AssetCheckSpec(WITHDRAWN_ABSENT, asset=key, blocking=True),
        ],
        description="The publishable dataset: frames with labels as Parquet, meta/, dataset card with distributions.",
    )
    @retried_when_transient
    @one_writer("arkit_dataset")
    def arkit_dataset(store: Store) -> dg.MaterializeResult:
        from magictalk_core.arkit_dataset.build import build_arkit_dataset

        timer = Timer()
        result = build_arkit_dataset(store.workspace, corpora)
        card = dg.MetadataValue.md((result.path / "README.md").read_text(encoding="utf-8"))
        counts: dict[str, Any] = {"clips": result.clips, "clips_excluded": result.excluded}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.digest),
            metadata=materialization(
                result.path,
                result.digest,
                timer,
                spec=ARKIT,
                rows=result.frames,
                columns=of_arkit_dataset(corpora, ARKIT),
                card=card,
                **counts,
            ),
            check_results=[
                dg.AssetCheckResult(
                    passed=finding.passed,
                    check_name=finding.name,
                    severity=dg.AssetCheckSeverity.ERROR if finding.blocking else dg.AssetCheckSeverity.WARN,
                    description=finding.text,
                    metadata={name: str(fact) for name, fact in finding.facts.items()},
                )
                for finding in result.findings
            ]
            + [_withdrawn_absent(store, result.path / "meta" / "clips.parquet")],
        )

    return arkit_dataset


def build_model_assets() -> list[dg.AssetsDefinition]:
    """`models/<family>` for every family that can be trained."""
    return [_build_model_asset(name, family) for name, family in FAMILIES.items()]


def build_gain_asset() -> dg.AssetsDefinition:
    """`tables/gain`."""

    @dg.asset(
        key=["tables", "gain"],
        deps=["training_set", *(dg.AssetKey(["models", name]) for name in ("emodiff", "audio2bs", "lip_residue"))],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"torch", "json"},
        pool="gpu",
        op_tags=GENERATION.op_tags(),
        code_version="1",
        check_specs=[dg.AssetCheckSpec("gains_over_its_beginning", asset=["tables", "gain"])],
        description="What models that began from others gained over them on held-out clips, by a paired interval.",
    )
    @retried_when_transient
    @one_writer("tables/gain")
    def gain(store: Store) -> dg.MaterializeResult:
        from magictalk_core.commands.gain import write_gain

        timer = Timer()
        found = write_gain(store.workspace)
        numbers = {} if found.gain is None else found.gain.model_dump(exclude_none=True)
        shown = materialization(found.path, found.md5, timer, says=dg.MetadataValue.text(found.sentence), **numbers)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(found.md5),
            metadata=shown,
            check_results=[
                dg.AssetCheckResult(
                    passed=found.gain is None or found.gain.is_worth,
                    check_name="gains_over_its_beginning",
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"says": found.sentence},
                    description=found.sentence,
                )
            ],
        )

    return gain


def _build_model_asset(family: str, about: ModelFamily) -> dg.AssetsDefinition:
    """Trained in a child process, unless it is trained already; the data version is the md5 of the weights."""

    @dg.asset(
        key=["models", family],
        deps=["training_set", *(dg.AssetKey(["models", needed]) for needed in about.needs)],
        group_name=RENDERERS if about.by_hand else GROUP,
        owners=OWNERS,
        kinds={"torch", "mlflow"},
        pool="gpu",
        op_tags=TRAINING.op_tags(),
        code_version=about.version,
        description=f"{about.description} Checkpoints, final weights, and an MLflow run with its curves.",
    )
    @retried_when_transient
    @one_writer(f"models/{family}")
    def model(context: dg.AssetExecutionContext, store: Store, settings: Settings, launcher: TrainingLauncher) -> Any:
        import yaml

        from magictalk_core.storage.atomic import write_text
        from magictalk_core.training.run import finished_run

        timer = Timer()
        workspace, preset = store.workspace, settings.load()
        # A child takes seconds to load torch and MLflow, only to find that there is nothing to do.
        done = finished_run(about, preset, workspace.training_set, workspace.models(family))
        if done is not None:
            shown = trained_metadata(workspace, done) | {"duration_s": timer.seconds}
            return dg.MaterializeResult(data_version=dg.DataVersion(done.weights_md5), metadata=shown)
        config = workspace.models(family) / "preset.yaml"
        write_text(config, yaml.safe_dump(preset.model_dump(mode="json"), sort_keys=False))
        arguments = ["--family", family, "--config", str(config)]
        arguments += ["--data", str(workspace.training_set), "--out", str(workspace.models(family))]
        arguments += ["--tracking-uri", workspace.mlflow_uri]
        arguments += ["--tag", f"dagster.run_id={context.run.run_id}", "--tag", f"dagster.asset_key=models/{family}"]
        log = workspace.logs / f"training-{family}.log"
        with told_failures(family, log):
            launcher.train(context, [*arguments, "--log", str(log)], about.settings_of(preset).training.processes)
        # What lies there, not what the training said of it: a cluster may lose its messages.
        done = finished_run(about, preset, workspace.training_set, workspace.models(family))
        if done is None:
            raise PermanentError(f"the training of {family} ended well and left no model: see {log}")
        shown = trained_metadata(workspace, done) | {"duration_s": timer.seconds}
        return dg.MaterializeResult(data_version=dg.DataVersion(done.weights_md5), metadata=shown)

    return model
