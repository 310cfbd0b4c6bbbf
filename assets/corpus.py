"""The assets of one corpus: source, index, clips, manifest, snapshot, card; those of its shards are in `shards`.

A factory over a corpus name. Whoever starts `index` looks at the raw files as well: its run records an observation of
`source`, so that one click takes a corpus from its files to its tables.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.columns import of_clips, of_index
from assets.keys import GROUP, OWNERS, SHARD_STAGES, corpus_key, shard_partitions
from assets.metadata import Timer, materialization
from assets.one_writer import one_writer, writing
from assets.pictures import picture_of_file
from assets.records import DATA_VERSION_TAG
from assets.resources import DvcRepository, Settings, Store
from assets.retries import retried_when_transient
from assets.shards import build_shard_assets
from magictalk_core.storage.schema import CLIPS


def build_corpus_assets(corpus: str) -> list[Any]:
    """All assets of the registered corpus `corpus`."""
    return [
        _source(corpus),
        _index(corpus),
        *build_shard_assets(corpus),
        _clips(corpus),
        _manifest(corpus),
        _snapshot(corpus),
        _card(corpus),
    ]


def _source(corpus: str) -> Any:
    @dg.observable_source_asset(
        key=corpus_key(corpus, "source"),
        group_name=GROUP,
        description=f"The raw files of `{corpus}` as they lie on disk; observed, never changed.",
    )
    @retried_when_transient
    def source(store: Store) -> dg.DataVersion:
        from magictalk_core.preparation.listing import observe_source

        return dg.DataVersion(observe_source(store.workspace, corpus))

    return source


def _observed(corpus: str, version: str) -> dg.AssetObservation:
    """What the asset `source` records when it is observed alone."""
    return dg.AssetObservation(corpus_key(corpus, "source"), tags={DATA_VERSION_TAG: version})


def _register_shards(instance: dg.DagsterInstance, name: str, shards: Sequence[str]) -> None:
    known = set(instance.get_dynamic_partitions(name))
    instance.add_dynamic_partitions(name, sorted(set(shards) - known))
    for stale in known - set(shards):
        instance.delete_dynamic_partition(name, stale)


def _index(corpus: str) -> dg.AssetsDefinition:
    partitions = shard_partitions(corpus)

    @dg.asset(
        key=corpus_key(corpus, "index"),
        deps=[corpus_key(corpus, "source")],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "parquet"},
        code_version="1",
        description="Every clip before decoding: labels, shard, split, and what a file header already rejects.",
    )
    @retried_when_transient
    @one_writer(f"{corpus}/index")
    def index(context: dg.AssetExecutionContext, store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.preparation.listing import write_index

        timer = Timer()
        result = write_index(store.workspace, corpus, settings.load())
        context.log_event(_observed(corpus, result.source))
        _register_shards(context.instance, str(partitions.name), result.shards)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=materialization(
                result.path,
                result.md5,
                timer,
                spec=CLIPS,
                rows=result.clips,
                columns=of_index(corpus),
                clips=result.clips,
                clips_rejected=result.rejected,
                shards=len(result.shards),
            ),
        )

    return index


def _clips(corpus: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=corpus_key(corpus, "clips"),
        deps=[corpus_key(corpus, name) for name in ("index", *SHARD_STAGES, "shards")],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "parquet"},
        code_version="1",
        description="The finished table, one row per clip: measured, decided by the quality gates, duplicates found.",
    )
    @retried_when_transient
    @one_writer(f"{corpus}/clips", dataset_of=corpus)
    def clips(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.preparation.listing import write_clips

        timer = Timer()
        result = write_clips(store.workspace, corpus, settings.load().quality)
        counts: dict[str, Any] = {"clips": result.clips, "clips_rejected": result.rejected}
        about: dict[str, Any] = {"spec": CLIPS, "rows": result.clips, "columns": of_clips(corpus), "in_dvc": True}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=materialization(result.path, result.md5, timer, **about, **counts),
        )

    return clips


def _manifest(corpus: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=corpus_key(corpus, "manifest"),
        deps=[corpus_key(corpus, name) for name in (*SHARD_STAGES, "clips")],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"json"},
        code_version="2",
        description="Every file of the dataset with its md5, and one digest over them, as DVC computes it.",
    )
    @retried_when_transient
    @one_writer(f"{corpus}/manifest", dataset_of=corpus)
    def manifest(store: Store) -> dg.MaterializeResult:
        from magictalk_core.preparation.listing import write_manifest
        from magictalk_core.work.circumstances import code_used, preset_used

        timer = Timer()
        result = write_manifest(store.workspace, corpus)
        path, preset, code = store.workspace.manifest(corpus), preset_used(store.workspace.home), code_used()
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.digest),
            metadata=materialization(path, result.digest, timer, in_dvc=True, files=len(result.entries))
            | {
                "preset": preset.name if preset else "none",
                "preset.digest": preset.digest if preset else "none",
                "git.commit": f"{code.commit or 'no checkout'}{', with changes' if code.dirty else ''}",
            },
        )

    return manifest


def _snapshot(corpus: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=corpus_key(corpus, "snapshot"),
        deps=[corpus_key(corpus, "manifest")],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"dvc", "git"},
        pool="dvc",
        code_version="2",
        check_specs=[dg.AssetCheckSpec("equals_manifest", asset=corpus_key(corpus, "snapshot"), blocking=True)],
        description="The dataset in DVC's cache, its digest in `dvc.lock`, committed to Git; must be the manifest's.",
    )
    @retried_when_transient
    @one_writer(f"{corpus}/snapshot", dataset_of=corpus)
    def snapshot(store: Store, dvc: DvcRepository) -> dg.MaterializeResult:
        from magictalk_core.preparation.records import record_snapshot
        from magictalk_core.work.manifest import read_manifest

        timer = Timer()
        expected = read_manifest(store.workspace.manifest(corpus)).digest
        with writing(store.workspace, "dvc"):
            locked = dvc.keep(corpus)
            record_snapshot(store.workspace, corpus, locked)
            commit = dvc.commit(_message(store, corpus, locked)) if locked == expected else None
        return dg.MaterializeResult(
            data_version=dg.DataVersion(locked),
            metadata=materialization(store.workspace.dataset(corpus), locked, timer, in_dvc=True)
            | {"dvc.path": dg.MetadataValue.path(f"{dvc.root}/dvc.lock"), "snapshot": commit or "as before"},
            check_results=[
                dg.AssetCheckResult(
                    passed=locked == expected,
                    check_name="equals_manifest",
                    metadata={"dvc.lock": locked, "manifest": expected},
                )
            ],
        )

    return snapshot


def _message(store: Store, corpus: str, digest: str) -> str:
    """Of a snapshot's commit: what, then with which settings and which code."""
    from magictalk_core.work.circumstances import code_used, preset_used

    preset, code = preset_used(store.workspace.home), code_used()
    made_with = f"preset: {preset.name} {preset.digest}\n" if preset else ""
    return f"snapshot {corpus}: {digest}\n\n{made_with}code: {code.version} {code.commit or ''}".rstrip() + "\n"


def _card(corpus: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=corpus_key(corpus, "card"),
        deps=[corpus_key(corpus, "clips"), corpus_key(corpus, "manifest")],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"markdown"},
        code_version="2",
        description="Dataset card: counts, hours, splits, licences, what was left out and why, the funnel as a plot.",
    )
    @retried_when_transient
    @one_writer(f"{corpus}/card")
    def card(store: Store) -> dg.MaterializeResult:
        from magictalk_core.report.corpus_card import write_card

        timer = Timer()
        result = write_card(store.workspace, corpus)
        text = (result.path / "README.md").read_text(encoding="utf-8")
        funnel = picture_of_file(result.path / "funnel.svg", "what became of the clips")
        counts = {"clips": result.clips, "clips_accepted": result.accepted, "hours": round(result.hours, 3)}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=materialization(result.path, result.md5, timer, card=dg.MetadataValue.md(text), funnel=funnel)
            | counts,
        )

    return card
