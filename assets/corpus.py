"""The assets of one corpus: source, index, media, blendshapes, speech, clips, manifest, snapshot, card.

A factory over a corpus name. Shards are dynamic partitions, one definition per corpus, registered by `index`; every
stage inside a corpus shares the definition, so each shard flows alone from raw file to table.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.machines import SHARD
from assets.metadata import Timer, materialization
from assets.resources import ClipWorkers, DvcRepository, Settings, Store
from assets.retries import retried_when_transient
from magictalk_core.storage.schema import CLIPS, FRAMES, MEDIA, SPEECH

GROUP = "corpora"
OWNERS = ["team:magictalk"]


def shard_partitions(corpus: str) -> dg.DynamicPartitionsDefinition:
    return dg.DynamicPartitionsDefinition(name=f"{corpus}_shards")


def build_corpus_assets(corpus: str) -> list[Any]:
    """All assets of the registered corpus `corpus`."""
    return [
        _source(corpus),
        _index(corpus),
        _media(corpus),
        _blendshapes(corpus),
        _speech(corpus),
        _clips(corpus),
        _manifest(corpus),
        _snapshot(corpus),
        _card(corpus),
    ]


def _key(corpus: str, name: str) -> dg.AssetKey:
    return dg.AssetKey([corpus, name])


def _source(corpus: str) -> Any:
    @dg.observable_source_asset(
        key=_key(corpus, "source"),
        group_name=GROUP,
        description=f"The raw files of `{corpus}` as they lie on disk; observed, never changed.",
    )
    @retried_when_transient
    def source(store: Store) -> dg.DataVersion:
        from magictalk_core.preparation.listing import observe_source

        return dg.DataVersion(observe_source(store.workspace, corpus))

    return source


def _index(corpus: str) -> dg.AssetsDefinition:
    partitions = shard_partitions(corpus)

    @dg.asset(
        key=_key(corpus, "index"),
        deps=[_key(corpus, "source")],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "parquet"},
        code_version="1",
        description="Every clip before decoding: labels, shard, split, and what a file header already rejects.",
    )
    @retried_when_transient
    def index(context: dg.AssetExecutionContext, store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.preparation.listing import write_index

        timer = Timer()
        result = write_index(store.workspace, corpus, settings.load())
        known = set(context.instance.get_dynamic_partitions(partitions.name))
        context.instance.add_dynamic_partitions(partitions.name, sorted(set(result.shards) - known))
        for stale in known - set(result.shards):
            context.instance.delete_dynamic_partition(partitions.name, stale)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=materialization(
                result.path,
                result.md5,
                timer,
                spec=CLIPS,
                rows=result.clips,
                clips=result.clips,
                clips_rejected=result.rejected,
                shards=len(result.shards),
            ),
        )

    return index


def _shard_result(result: Any, timer: Timer, spec: Any) -> dict[str, Any]:
    counts = {"clips": result.clips, "clips_computed": result.computed, "clips_rejected": result.rejected}
    return materialization(result.path, result.md5, timer, spec=spec, rows=result.rows, **counts)


def _media(corpus: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=_key(corpus, "media"),
        deps=[_key(corpus, "index")],
        partitions_def=shard_partitions(corpus),
        group_name=GROUP,
        owners=OWNERS,
        kinds={"ffmpeg", "parquet"},
        pool="cpu_heavy",
        op_tags=SHARD.op_tags(),
        code_version="1",
        check_specs=[dg.AssetCheckSpec("some_clips_accepted", asset=_key(corpus, "media"))],
        description="25 fps face crops and 16 kHz mono audio; the table lists every file with its md5.",
    )
    @retried_when_transient
    def media(
        context: dg.AssetExecutionContext, store: Store, settings: Settings, clip_workers: ClipWorkers
    ) -> dg.MaterializeResult:
        from magictalk_core.corpora.registry import load_corpus
        from magictalk_core.preparation.listing import read_index
        from magictalk_core.preparation.shards import media_shard

        timer = Timer()
        shard = context.partition_key
        index = read_index(store.workspace, corpus, shard)
        root = load_corpus(store.workspace, corpus).root
        result = media_shard(
            store.workspace,
            corpus,
            root,
            shard,
            index,
            settings.load(),
            workers=clip_workers.workers,
            mapper=clip_workers.mapper,
        )
        accepted = result.clips - result.rejected
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=_shard_result(result, timer, MEDIA),
            check_results=[
                dg.AssetCheckResult(
                    passed=accepted > 0,
                    check_name="some_clips_accepted",
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"accepted": accepted, "clips": result.clips, "shard": shard},
                )
            ],
        )

    return media


def _blendshapes(corpus: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=_key(corpus, "blendshapes"),
        deps=[_key(corpus, "media")],
        partitions_def=shard_partitions(corpus),
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "parquet"},
        pool="cpu_heavy",
        op_tags=SHARD.op_tags(),
        code_version="1",
        check_specs=[dg.AssetCheckSpec("frames_match_media", asset=_key(corpus, "blendshapes"), blocking=True)],
        description="52 ARKit coefficients and the head pose of every frame.",
    )
    @retried_when_transient
    def blendshapes(
        context: dg.AssetExecutionContext, store: Store, settings: Settings, clip_workers: ClipWorkers
    ) -> dg.MaterializeResult:
        from magictalk_core.preparation.shards import blendshapes_shard

        timer = Timer()
        shard, preset = context.partition_key, settings.load()
        result = blendshapes_shard(
            store.workspace, corpus, shard, preset, workers=clip_workers.workers, mapper=clip_workers.mapper
        )
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=_shard_result(result, timer, FRAMES),
            check_results=[_frames_match_media(store, corpus, shard, "blendshapes", "video_path")],
        )

    return blendshapes


def _speech(corpus: str) -> dg.AssetsDefinition:
    key = _key(corpus, "speech")

    @dg.asset(
        key=key,
        deps=[_key(corpus, "media")],
        partitions_def=shard_partitions(corpus),
        group_name=GROUP,
        owners=OWNERS,
        kinds={"torch", "parquet"},
        pool="cpu_heavy",
        op_tags=SHARD.op_tags(),
        code_version="1",
        check_specs=[
            dg.AssetCheckSpec("frames_match_media", asset=key, blocking=True),
            dg.AssetCheckSpec("values_in_range", asset=key, blocking=True),
            dg.AssetCheckSpec("silence_is_blank", asset=key),
        ],
        description="Speech features, one vector per video frame.",
    )
    @retried_when_transient
    def speech(
        context: dg.AssetExecutionContext, store: Store, settings: Settings, clip_workers: ClipWorkers
    ) -> dg.MaterializeResult:
        from magictalk_core.preparation.shards import speech_shard

        timer = Timer()
        shard, preset = context.partition_key, settings.load()
        result = speech_shard(
            store.workspace, corpus, shard, preset, workers=clip_workers.workers, mapper=clip_workers.mapper
        )
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=_shard_result(result, timer, SPEECH) | {"feature_id": preset.speech.feature},
            check_results=[
                _frames_match_media(store, corpus, shard, "speech", "audio_path"),
                _speech_in_range(store, corpus, shard),
                _silence_is_blank(preset.speech.feature),
            ],
        )

    return speech


def _speech_in_range(store: Store, corpus: str, shard: str) -> dg.AssetCheckResult:
    from magictalk_core.preparation.listing import speech_problems_of_shard

    problems = speech_problems_of_shard(store.workspace, corpus, shard)
    first = "; ".join(f"{clip}: {found[0]}" for clip, found in list(problems.items())[:5])
    return dg.AssetCheckResult(
        passed=not problems,
        check_name="values_in_range",
        metadata={"clips": len(problems), "first": first, "shard": shard},
        description="finite values in the feature's range, one row per frame, one feature; probabilities sum to 1",
    )


def _silence_is_blank(feature: str) -> dg.AssetCheckResult:
    from magictalk_core.preparation.preload import PRELOAD
    from magictalk_core.speech.checks import silence_problems_apart

    problems = silence_problems_apart(feature, PRELOAD)
    return dg.AssetCheckResult(
        passed=not problems,
        check_name="silence_is_blank",
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"feature": feature, "found": "; ".join(problems)},
        description="two seconds of digital silence are heard as CTC's blank, or are even where no letters are heard",
    )


def _frames_match_media(store: Store, corpus: str, shard: str, table: str, needs: str) -> dg.AssetCheckResult:
    from magictalk_core.preparation.listing import frame_count_mismatches

    wrong = frame_count_mismatches(store.workspace, corpus, shard, table, needs)
    return dg.AssetCheckResult(
        passed=not wrong,
        check_name="frames_match_media",
        metadata={"clips": len(wrong), "first": ", ".join(wrong[:5]), "shard": shard},
        description="every clip of the media table has one row per video frame, within 1",
    )


def _clips(corpus: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=_key(corpus, "clips"),
        deps=[_key(corpus, name) for name in ("index", "media", "blendshapes", "speech")],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"python", "parquet"},
        code_version="1",
        description="The finished table, one row per clip: measured, decided by the quality gates, duplicates found.",
    )
    @retried_when_transient
    def clips(store: Store, settings: Settings) -> dg.MaterializeResult:
        from magictalk_core.preparation.listing import write_clips

        timer = Timer()
        result = write_clips(store.workspace, corpus, settings.load().quality)
        counts = {"clips": result.clips, "clips_rejected": result.rejected}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=materialization(result.path, result.md5, timer, spec=CLIPS, rows=result.clips, **counts),
        )

    return clips


def _manifest(corpus: str) -> dg.AssetsDefinition:
    tables: Sequence[str] = ("media", "blendshapes", "speech", "clips")

    @dg.asset(
        key=_key(corpus, "manifest"),
        deps=[_key(corpus, name) for name in tables],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"json"},
        code_version="2",
        description="Every file of the dataset with its md5, and one digest over them, as DVC computes it.",
    )
    @retried_when_transient
    def manifest(store: Store) -> dg.MaterializeResult:
        from magictalk_core.preparation.listing import write_manifest
        from magictalk_core.work.circumstances import code_used, preset_used

        timer = Timer()
        result = write_manifest(store.workspace, corpus)
        path, preset, code = store.workspace.manifest(corpus), preset_used(store.workspace.home), code_used()
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.digest),
            metadata=materialization(path, result.digest, timer, files=len(result.entries))
            | {
                "preset": preset.name if preset else "none",
                "preset.digest": preset.digest if preset else "none",
                "git.commit": f"{code.commit or 'no checkout'}{', with changes' if code.dirty else ''}",
            },
        )

    return manifest


def _snapshot(corpus: str) -> dg.AssetsDefinition:
    @dg.asset(
        key=_key(corpus, "snapshot"),
        deps=[_key(corpus, "manifest")],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"dvc", "git"},
        pool="dvc",
        code_version="2",
        check_specs=[dg.AssetCheckSpec("equals_manifest", asset=_key(corpus, "snapshot"), blocking=True)],
        description="The dataset in DVC's cache, its digest in `dvc.lock`, committed to Git; must be the manifest's.",
    )
    @retried_when_transient
    def snapshot(store: Store, dvc: DvcRepository) -> dg.MaterializeResult:
        from magictalk_core.work.manifest import read_manifest

        timer = Timer()
        expected = read_manifest(store.workspace.manifest(corpus)).digest
        locked = dvc.keep(corpus)
        commit = dvc.commit(_message(store, corpus, locked)) if locked == expected else None
        return dg.MaterializeResult(
            data_version=dg.DataVersion(locked),
            metadata=materialization(store.workspace.dataset(corpus), locked, timer)
            | {"dvc.path": f"{dvc.root}/dvc.lock", "snapshot": commit or "as before"},
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
        key=_key(corpus, "card"),
        deps=[_key(corpus, "clips"), _key(corpus, "manifest")],
        group_name=GROUP,
        owners=OWNERS,
        kinds={"markdown"},
        code_version="2",
        description="Dataset card: counts, hours, splits, licences, what was left out and why, the funnel as a plot.",
    )
    @retried_when_transient
    def card(store: Store) -> dg.MaterializeResult:
        from magictalk_core.report.corpus_card import write_card

        timer = Timer()
        result = write_card(store.workspace, corpus)
        text = (result.path / "README.md").read_text(encoding="utf-8")
        counts = {"clips": result.clips, "clips_accepted": result.accepted, "hours": round(result.hours, 3)}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(result.md5),
            metadata=materialization(result.path, result.md5, timer, card=dg.MetadataValue.md(text)) | counts,
        )

    return card
