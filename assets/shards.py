"""The shards of a corpus: one partitioned asset per table, and `<corpus>/shards`, which brings all of them up to date.

Shards are dynamic partitions, one definition per corpus, registered by `index`. A partition is made alone by a run of
its own, as a backfill starts them; or by `<corpus>/shards`, one run for all: it passes over what is unchanged, works on
several shards side by side, and records for every shard that it made the same event with the same data version as the
shard's own asset would. A shard that fails does not stop the others.
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of asset functions as they stand.

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from assets.keys import OWNERS, SHARD_STAGES, SHARDS, corpus_key, shard_partitions
from assets.machines import SHARD
from assets.metadata import Timer, materialization
from assets.one_writer import one_writer, writing_shard
from assets.records import DATA_VERSION_TAG, recorded_versions
from assets.resources import ClipWorkers, Settings, Store
from assets.retries import retried_when_transient
from assets.shard_steps import STEPS, ShardWork, StepResult
from magictalk_core.errors import MagicTalkError, PermanentError, TransientError, UserError
from magictalk_core.presets.preset import Preset
from magictalk_core.storage.hashes import directory_md5
from magictalk_core.storage.parquet import row_count
from magictalk_core.storage.remembered import RememberedHashes
from magictalk_core.storage.schema import FRAMES, MEDIA, SPEECH
from magictalk_core.work.isolation import map_isolated
from magictalk_core.work.side_by_side import Processors, side_by_side
from magictalk_core.workspace import Workspace

__all__ = ["build_shard_assets"]

logger = logging.getLogger("magictalk.shards")

_ABOUT = {
    "media": (
        "index",
        {"ffmpeg", "parquet"},
        "25 fps face crops and 16 kHz mono audio; lists every file with its md5.",
    ),
    "blendshapes": ("media", {"python", "parquet"}, "52 ARKit coefficients and the head pose of every frame."),
    "speech": ("media", {"torch", "parquet"}, "Speech features, one vector per video frame."),
}
_SPECS = {"media": MEDIA, "blendshapes": FRAMES, "speech": SPEECH}
CHECKS = {
    "media": {"some_clips_accepted": False},
    "blendshapes": {"frames_match_media": True},
    "speech": {"frames_match_media": True, "values_in_range": True, "silence_is_blank": False},
}
"""Check of a table -> whether it is blocking."""


class ShardsConfig(dg.Config):
    """What of a corpus to bring up to date."""

    only: list[str] = Field(default_factory=list, description="shards; empty: all of the index")
    stages: list[str] = Field(default_factory=list, description="media, blendshapes, speech; empty: all three")


def build_shard_assets(corpus: str) -> list[dg.AssetsDefinition]:
    return [*(_one_shard(corpus, stage) for stage in SHARD_STAGES), _all_shards(corpus)]


# --- one shard -------------------------------------------------------------------------------------------------------


def _one_shard(corpus: str, stage: str) -> dg.AssetsDefinition:
    key, partitions = corpus_key(corpus, stage), shard_partitions(corpus)
    upstream, kinds, about = _ABOUT[stage]

    @dg.asset(
        key=key,
        deps=[corpus_key(corpus, upstream)],
        partitions_def=partitions,
        group_name=SHARDS,
        owners=OWNERS,
        kinds=kinds,
        pool="cpu_heavy",
        op_tags=SHARD.op_tags(),
        code_version="1",
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=blocking, partitions_def=partitions)
            for name, blocking in CHECKS[stage].items()
        ],
        description=about,
    )
    @retried_when_transient
    def one_shard(
        context: dg.AssetExecutionContext, store: Store, settings: Settings, clip_workers: ClipWorkers
    ) -> dg.MaterializeResult:
        from magictalk_core.preparation.listing import read_index

        shard = context.partition_key
        index = read_index(store.workspace, corpus, shard)
        with writing_shard(store.workspace, corpus, shard):
            how = (clip_workers.workers, clip_workers.mapper)
            step = STEPS[stage](ShardWork(store.workspace, corpus, shard, index, settings.load(), *how))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(step.md5),
            metadata=step.metadata,
            check_results=[check.result() for check in step.checks],
        )

    return one_shard


# --- all shards ------------------------------------------------------------------------------------------------------


def _all_shards(corpus: str) -> dg.AssetsDefinition:
    key = corpus_key(corpus, "shards")

    @dg.asset(
        key=key,
        deps=[corpus_key(corpus, name) for name in ("index", *SHARD_STAGES)],
        group_name=SHARDS,
        owners=OWNERS,
        kinds={"python", "parquet"},
        pool="cpu_heavy",
        op_tags=SHARD.op_tags(),
        code_version="1",
        check_specs=[dg.AssetCheckSpec("every_shard_is_there", asset=key)],
        description="All shards of the corpus brought up to date in one run; unchanged ones are passed over.",
    )
    @retried_when_transient
    @one_writer(f"{corpus}/shards")
    def shards(
        context: dg.AssetExecutionContext,
        config: ShardsConfig,
        store: Store,
        settings: Settings,
        clip_workers: ClipWorkers,
    ) -> Iterator[Any]:
        timer = Timer()
        sweep = _Sweep(store.workspace, corpus, settings.load(), config, clip_workers)
        yield from sweep.recorded_late(context.instance)
        yield from sweep.work()
        missing = sweep.missing()
        version = sweep.version()
        counts: dict[str, Any] = {
            "shards": len(sweep.every),
            "shards_changed": len(sweep.to_do),
            "clips_computed": sweep.computed,
        }
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(version),
            metadata=materialization(store.workspace.dataset(corpus), version, timer, **counts),
            check_results=[
                dg.AssetCheckResult(
                    passed=not missing,
                    check_name="every_shard_is_there",
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"missing": len(missing), "first": ", ".join(missing[:5])},
                    description="every shard of the index has its three tables",
                )
            ],
        )

    return shards


class _Sweep:
    """One pass over the shards of a corpus."""

    def __init__(
        self, workspace: Workspace, corpus: str, preset: Preset, config: ShardsConfig, clip_workers: ClipWorkers
    ) -> None:
        from magictalk_core.preparation.known_shards import KnownShards

        self.workspace, self.corpus, self.preset, self.clip_workers = workspace, corpus, preset, clip_workers
        self.known = KnownShards.read(workspace, corpus, preset, SHARD_STAGES)
        self.every = self.known.every
        wanted = tuple(_chosen("shard", config.only, self.every))
        self.stages = _chosen("stage", config.stages, SHARD_STAGES)
        self.unchanged = self.known.unchanged(wanted)
        self.to_do = [shard for shard in wanted if shard not in self.unchanged]
        self.clip_workers = clip_workers
        self.computed = 0

    def recorded_late(self, instance: dg.DagsterInstance) -> Iterator[dg.AssetMaterialization]:
        """Events of unchanged shards that this Dagster does not know: its records are younger, or were cleared."""
        for stage in SHARD_STAGES if self.unchanged else ():
            known = recorded_versions(instance, corpus_key(self.corpus, stage))
            for shard, md5s in self.unchanged.items():
                if known.get(shard) != md5s[stage]:
                    path = self.workspace.shard_table(self.corpus, stage, shard)
                    metadata = materialization(
                        path, md5s[stage], Timer(), spec=_SPECS[stage], rows=row_count(path), in_dvc=True
                    )
                    yield self._materialization(stage, shard, md5s[stage], metadata)

    def work(self) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
        """Bring up to date what is not, several shards side by side; raises when all others are done."""
        failed: dict[str, MagicTalkError] = {}
        for shard, outcome in side_by_side(self._steps, self.to_do, Processors(self.clip_workers.workers)):
            if isinstance(outcome, MagicTalkError):
                failed[shard] = outcome
                logger.warning("%s [%s] failed: %s", self.corpus, shard, outcome)
                continue
            for stage, step in outcome.items():
                self.computed += step.computed
                yield self._materialization(stage, shard, step.md5, step.metadata)
                yield from (check.evaluation(corpus_key(self.corpus, stage), shard) for check in step.checks)
            unsound = [stage for stage, step in outcome.items() if not step.is_sound]
            if unsound:
                failed[shard] = PermanentError(f"a blocking check of {', '.join(unsound)} failed: see its page")
            elif set(outcome) == set(SHARD_STAGES):
                self.known.remember(shard, {stage: step.md5 for stage, step in outcome.items()})
        if failed:
            raise self._what_failed(failed)

    @cached_property
    def index(self) -> Any:
        """CLIPS rows; not read where every shard is unchanged."""
        from magictalk_core.preparation.listing import read_index

        return read_index(self.workspace, self.corpus)

    def _steps(self, shard: str, processors: Processors) -> dict[str, StepResult]:
        """In a thread of its own."""
        rows = self.index[self.index["shard"] == shard].reset_index(drop=True)
        done: dict[str, StepResult] = {}
        with writing_shard(self.workspace, self.corpus, shard):
            for stage in self.stages:
                # Elsewhere than in children of this process others know how many processors there are.
                share, mapper = processors.share(), self.clip_workers.mapper
                how = (share if mapper is map_isolated else self.clip_workers.workers, mapper)
                done[stage] = STEPS[stage](ShardWork(self.workspace, self.corpus, shard, rows, self.preset, *how))
        return done

    def _what_failed(self, failed: Mapping[str, MagicTalkError]) -> MagicTalkError:
        """One error for all: a passing one only where nothing but passing trouble was met."""
        shard = min(failed)
        others = f" ({len(failed)} of {len(self.to_do)} shards failed: {', '.join(sorted(failed)[:20])})"
        passing = all(isinstance(error, TransientError) for error in failed.values())
        kind = TransientError if passing else PermanentError
        return kind(f"shard {shard}: {failed[shard]}{others if len(failed) > 1 else ''}")

    def _materialization(
        self, stage: str, shard: str, md5: str, metadata: Mapping[str, Any]
    ) -> dg.AssetMaterialization:
        """The event that the shard's own asset would leave."""
        key = corpus_key(self.corpus, stage)
        return dg.AssetMaterialization(key, partition=shard, metadata=metadata, tags={DATA_VERSION_TAG: md5})

    def _tables(self) -> dict[str, Path]:
        """`<table>/<shard>` -> file, of every shard of the index."""
        return {
            f"{stage}/{shard}": self.workspace.shard_table(self.corpus, stage, shard)
            for shard in self.every
            for stage in SHARD_STAGES
        }

    def missing(self) -> list[str]:
        return [name for name, path in self._tables().items() if not path.is_file()]

    def version(self) -> str:
        """One digest over the tables of all shards that are there."""
        there = {name: path for name, path in self._tables().items() if path.is_file()}
        md5s = RememberedHashes(self.workspace.file_hashes).md5_of(list(there.values()))
        return directory_md5((name, md5s[path]) for name, path in there.items())


def _chosen(what: str, wanted: Sequence[str], known: Sequence[str]) -> list[str]:
    """Those of `known` that are wanted; none named means all."""
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise UserError(f"no {what} `{unknown[0]}`: known are {', '.join(known[:20])}")
    return [name for name in known if name in wanted or not wanted]
