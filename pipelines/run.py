"""`magictalk run`: bring a selection of assets up to date in this process, shard by shard, with one line per asset.

Unchanged work is found by content, so a second run computes nothing. Everything is recorded in the same instance that
`dagster dev` shows.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from assets.corpus import shard_partitions
from assets.recipes import GROUP as RECIPES
from magictalk_core.corpora.registry import list_corpora
from magictalk_core.errors import UserError
from magictalk_core.preparation.listing import accepted_by_split
from magictalk_core.presets.of_workspace import preset_of, set_preset
from magictalk_core.presets.preset import load_preset
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.dvc_workspace import prepare_repository, record_results
from pipelines.executors import SHARDS_AT_ONCE, executor_choice
from pipelines.failures import failure_of
from pipelines.held_out import without_what_needs_test_clips
from pipelines.instance import COMMAND_TAG, end_dead_runs, open_instance
from pipelines.jobs import INDEX, RECORD_STAGES, SHARD_STAGES
from pipelines.run_apart import execute_apart

__all__ = ["AssetOutcome", "RunReport", "quiet_libraries", "run"]

logger = logging.getLogger("magictalk.preset")

QUIET_LOGS = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class AssetOutcome:
    """One materialization or observation of this run."""

    asset: str
    partition: str | None
    version: str | None
    seconds: float
    counts: dict[str, Any]


@dataclass
class RunReport:
    """What a run did, in order; `failed_checks` are warnings, a blocking check that fails is an error."""

    outcomes: list[AssetOutcome] = field(default_factory=list)
    failed_checks: list[str] = field(default_factory=list)
    seconds: float = 0.0


class _Runner:
    """Runs batches of assets and collects what they report."""

    def __init__(self, workspace: Workspace, on_asset: Callable[[AssetOutcome], None]) -> None:
        self.workspace = workspace
        self.instance = open_instance(workspace)
        self.corpora = [entry.name for entry in list_corpora(workspace)]
        self.definitions = build_definitions(workspace)
        self.assets: list[Any] = list(self.definitions.assets or [])
        self.resources = dict(self.definitions.resources or {})
        self.on_asset = on_asset
        self.report = RunReport()

    def materialize(self, keys: Sequence[dg.AssetKey], partition: str | None = None) -> None:
        if not keys:
            return
        result = self._execute(keys, partition)
        for event in result.get_asset_materialization_events():
            self._record(event.step_materialization_data.materialization, partition)
        for evaluation in result.get_asset_check_evaluations():
            if not evaluation.passed:
                shard = f"[{partition}]" if partition else ""
                facts = {k: v.value for k, v in evaluation.metadata.items()}
                self.report.failed_checks.append(
                    f"{evaluation.asset_key.to_user_string()}{shard} {evaluation.check_name}: {facts}"
                )
        if not result.success:
            raise failure_of(result, self.instance, self.workspace)

    def _execute(self, keys: Sequence[dg.AssetKey], partition: str | None) -> Any:
        if executor_choice() in (None, "in_process"):
            return dg.materialize(
                self.assets,
                selection=list(keys),
                instance=self.instance,
                resources=self.resources,
                partition_key=partition,
                run_config=QUIET_LOGS,
                raise_on_error=False,
                tags=COMMAND_TAG,
            )
        tags = COMMAND_TAG | ({} if partition is None else {"dagster/partition": partition})
        return execute_apart(self.workspace, self.instance, keys, tags, QUIET_LOGS)

    def materialize_shards(self, keys: Sequence[dg.AssetKey], shards: Sequence[str]) -> None:
        """Each shard in a run of its own; on a cluster side by side, and one that fails leaves the others alone."""
        at_once = SHARDS_AT_ONCE.get(executor_choice() or "", 1)
        if at_once == 1:
            for shard in shards:
                self.materialize(keys, shard)
            return
        with ThreadPoolExecutor(at_once) as pool:
            runs = [pool.submit(self.materialize, keys, shard) for shard in shards]
        for run_of_shard in runs:
            run_of_shard.result()

    def observe(self, corpus: str) -> None:
        job = self.definitions.resolve_job_def(f"{corpus}_observe")
        result = job.execute_in_process(
            instance=self.instance, run_config=QUIET_LOGS, raise_on_error=False, tags=COMMAND_TAG
        )
        if not result.success:
            raise failure_of(result, self.instance, self.workspace)

    def _record(self, materialization: dg.AssetMaterialization, partition: str | None) -> None:
        values: dict[str, Any] = {key: value.value for key, value in materialization.metadata.items()}
        counts = {k: v for k, v in values.items() if isinstance(v, int | float) and k != "duration_s"}
        outcome = AssetOutcome(
            materialization.asset_key.to_user_string(),
            partition,
            (materialization.tags or {}).get("dagster/data_version"),
            float(values.get("duration_s", 0.0)),
            counts,
        )
        self.report.outcomes.append(outcome)
        self.on_asset(outcome)


def _select(runner: _Runner, selection: str | None) -> set[dg.AssetKey]:
    """Keys of a selection: asset names, with `+` before for all upstream, after for all downstream.

    None: everything but the recipes of what the package ships.

    Dagster's own selection language is not used: its parser needs antlr 4.13, and DVC's dependencies pin 4.9.
    """
    graph = dg.Definitions(assets=runner.assets, resources=runner.resources).resolve_asset_graph()
    everything = set(graph.get_all_asset_keys())
    if selection is None:
        return everything - dg.AssetSelection.groups(RECIPES).resolve(graph)
    names = {key.to_user_string(): key for key in everything}
    keys: set[dg.AssetKey] = set()
    for part in selection.replace(",", " ").split():
        key = names.get(part.strip("+"))
        if key is None:
            raise UserError(f"--select `{part}` matches no asset; known assets: {', '.join(sorted(names))}")
        chosen = dg.AssetSelection.assets(key)
        keys |= chosen.resolve(graph)
        if part.startswith("+"):
            keys |= chosen.upstream(include_self=False).resolve(graph)
        if part.endswith("+"):
            keys |= chosen.downstream(include_self=False).resolve(graph)
    # Upstream leaves out what Dagster only observes; a corpus is always looked at before it is indexed.
    keys |= {k for k in everything if k.path[-1] == "source" and dg.AssetKey([*k.path[:-1], INDEX]) in keys}
    return keys


def run(
    workspace: Workspace,
    preset: str | None = None,
    selection: str | None = None,
    on_asset: Callable[[AssetOutcome], None] = lambda outcome: None,
) -> RunReport:
    """Materialize `selection` (default: everything but recipes) in dependency order, with the workspace's preset.

    `preset`, a name or a path, becomes the workspace's first, and a change is told. Raises what the first step that
    failed raised, as an error of the same class.
    """
    start = time.monotonic()
    if preset is not None:
        load_preset(preset)  # a wrong one is refused before anything is touched
    corpora = [entry.name for entry in list_corpora(workspace)]
    if not corpora:
        raise UserError(
            f"no corpus is registered in {workspace.home}: type "
            "`magictalk corpus add NAME --kind folder --root DIR`, or `magictalk demo`"
        )
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        _settle_preset(workspace, preset)
        prepare_repository(workspace, corpora)
        runner = _Runner(workspace, on_asset)
        end_dead_runs(runner.instance)
        _bring_up_to_date(runner, corpora, _select(runner, selection), selection)
        record_results(workspace, (outcome.asset for outcome in runner.report.outcomes))
    runner.report.seconds = time.monotonic() - start
    return runner.report


def _settle_preset(workspace: Workspace, preset: str | None) -> None:
    """Spell the workspace's preset out, after it is changed to `preset` where one is given."""
    if preset is None:
        preset_of(workspace)
    change = set_preset(workspace, preset or str(workspace.preset))
    if change.is_one:
        logger.warning("%s", change.line())


def _bring_up_to_date(runner: _Runner, corpora: Sequence[str], wanted: set[dg.AssetKey], selection: str | None) -> None:
    for corpus in corpora:
        source, index = dg.AssetKey([corpus, "source"]), dg.AssetKey([corpus, INDEX])
        stages = [k for k in (dg.AssetKey([corpus, stage]) for stage in SHARD_STAGES) if k in wanted]
        # Without an index no shard is known: a selection of shard assets alone would do nothing and look finished.
        unknown = bool(stages) and not _shards(runner, corpus)
        if source in wanted or unknown:
            runner.observe(corpus)
        if index in wanted or unknown:
            runner.materialize([index])
        if stages:
            runner.materialize_shards(stages, _shards(runner, corpus))
        runner.materialize([k for k in (dg.AssetKey([corpus, n]) for n in RECORD_STAGES) if k in wanted])
    done = {dg.AssetKey([c, n]) for c in corpora for n in ("source", INDEX, *SHARD_STAGES, *RECORD_STAGES)}
    accepted = accepted_by_split(runner.workspace, corpora)
    rest = without_what_needs_test_clips(wanted - done, selection, accepted)
    runner.materialize(sorted(rest, key=lambda key: key.to_user_string()))


def _shards(runner: _Runner, corpus: str) -> list[str]:
    return sorted(runner.instance.get_dynamic_partitions(str(shard_partitions(corpus).name)))


def quiet_libraries() -> None:
    """Before a run in the terminal: what Dagster says about its API and DVC about every lock file is not for users."""
    import dvc  # its own import sets its loggers up

    for category in (dg.PreviewWarning, dg.BetaWarning):
        warnings.simplefilter("ignore", category)
    logging.getLogger(dvc.__name__).setLevel(logging.WARNING)
