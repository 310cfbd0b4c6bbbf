"""`magictalk run`: bring a selection of assets up to date in this process, with one line per asset that was made.

Unchanged work is found by content, so a second run computes nothing. Everything is recorded in the same instance that
`dagster dev` shows.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.utils import make_new_run_id

from assets.keys import BY_HAND, SHARD_STAGES
from assets.records import DATA_VERSION_TAG
from magictalk_core.corpora.registry import list_corpora
from magictalk_core.errors import UserError
from magictalk_core.preparation.listing import accepted_by_split, emotions_to_learn, read_index, shards_of
from magictalk_core.presets.beginning import begins_from, preset_beginning_from
from magictalk_core.presets.of_workspace import preset_of, store_preset
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.training_set.assemble import training_corpora
from magictalk_core.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.dvc_workspace import record_results
from pipelines.executors import executor_choice
from pipelines.failures import failure_of
from pipelines.held_out import must_hold_clips_out, without_what_needs_labels, without_what_needs_test_clips
from pipelines.home import prepare_home
from pipelines.instance import COMMAND_TAG, end_dead_runs, open_instance
from pipelines.jobs import INDEX, RECORD_STAGES
from pipelines.retention import forget_superseded_runs
from pipelines.run_apart import execute_apart, execute_shards_apart

__all__ = ["AssetOutcome", "RunReport", "quiet_libraries", "run"]

logger = logging.getLogger("magictalk.preset")

_LOOKING = {dg.AssetKey("lineage_report"), dg.AssetKey("report")}
"""They tell of all that is there, ablations included, which they do not ask for: so they come last."""

FINE_TUNING = "+training_set models/emodiff models/audio2bs models/lip_residue tables/gain"
"""What is selected where trainings begin from finished models and nothing else is asked for: no judge, no table."""

QUIET_LOGS = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class AssetOutcome:
    """One materialization or observation of this run."""

    asset: str
    partition: str | None
    version: str | None
    seconds: float
    counts: dict[str, Any]
    says: str = ""
    """A sentence for people, where there is one."""


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
        self.definitions = build_definitions(workspace, recording=False)
        self.graph = self.definitions.resolve_asset_graph()
        self.job = self.definitions.resolve_implicit_global_asset_job_def()
        self.on_asset = on_asset
        self.report = RunReport()

    def materialize(
        self,
        keys: Iterable[dg.AssetKey],
        shard_stages: Mapping[str, Sequence[str]] | None = None,
        partition: str | None = None,
    ) -> None:
        """One Dagster run over `keys`; `shard_stages`: corpus -> the tables of its shards that are wanted."""
        chosen = sorted(keys, key=lambda key: key.to_user_string())
        if not chosen:
            return
        steps = {
            f"{corpus}__shards": {"config": {"stages": [*stages]}} for corpus, stages in (shard_stages or {}).items()
        }
        result = self._execute(chosen, {**QUIET_LOGS, "ops": steps}, partition)
        if not result.success:
            raise failure_of(result, self.instance, self.workspace)

    def _execute(self, keys: Sequence[dg.AssetKey], run_config: dict[str, Any], partition: str | None) -> Any:
        if executor_choice() in (None, "in_process"):
            run_id = make_new_run_id()
            self.instance.add_event_listener(run_id, self._heard)
            return self.job.execute_in_process(
                run_id=run_id,
                asset_selection=keys,
                instance=self.instance,
                run_config=run_config,
                partition_key=partition,
                raise_on_error=False,
                tags=COMMAND_TAG,
            )
        tags = COMMAND_TAG | ({} if partition is None else {"dagster/partition": partition})
        result = execute_apart(self.workspace, self.instance, keys, tags, run_config)
        for event in result.all_events:
            self._heard_event(event)
        return result

    def materialize_apart(self, keys: Sequence[dg.AssetKey], shards: Sequence[str]) -> None:
        """On a cluster: each shard in a run of its own, side by side; one that fails leaves the others alone."""
        failed = []
        for ended in execute_shards_apart(self.workspace, self.instance, keys, shards, COMMAND_TAG, QUIET_LOGS):
            for event in ended.all_events:
                self._heard_event(event)
            if not ended.success:
                failed.append(ended)
        if failed:
            raise failure_of(failed[0], self.instance, self.workspace)

    def observe(self, corpus: str) -> None:
        job = self.definitions.resolve_job_def(f"{corpus}_observe")
        result = job.execute_in_process(
            instance=self.instance, run_config=QUIET_LOGS, raise_on_error=False, tags=COMMAND_TAG
        )
        if not result.success:
            raise failure_of(result, self.instance, self.workspace)

    def _heard(self, entry: dg.EventLogEntry) -> None:
        if entry.dagster_event is not None:
            self._heard_event(entry.dagster_event)

    def _heard_event(self, event: dg.DagsterEvent) -> None:
        if event.is_step_materialization:
            self._record(event.step_materialization_data.materialization)
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            evaluation = event.asset_check_evaluation_data
            if not evaluation.passed:
                shard = f"[{evaluation.partition}]" if evaluation.partition else ""
                facts = {k: v.value for k, v in evaluation.metadata.items()}
                self.report.failed_checks.append(
                    f"{evaluation.asset_key.to_user_string()}{shard} {evaluation.check_name}: {facts}"
                )

    def _record(self, materialization: dg.AssetMaterialization) -> None:
        values: dict[str, Any] = {key: value.value for key, value in materialization.metadata.items()}
        counts = {k: v for k, v in values.items() if isinstance(v, int | float) and k != "duration_s"}
        outcome = AssetOutcome(
            materialization.asset_key.to_user_string(),
            materialization.partition,
            (materialization.tags or {}).get(DATA_VERSION_TAG),
            float(values.get("duration_s", 0.0)),
            counts,
            str(values.get("says", "")),
        )
        self.report.outcomes.append(outcome)
        self.on_asset(outcome)


def _select(runner: _Runner, selection: str | None) -> set[dg.AssetKey]:
    """Keys of a selection: asset names, with `+` before for all upstream, after for all downstream.

    None: everything but what is made by hand alone: recipes of what the package ships, further seeds.

    Dagster's own selection language is not used: its parser needs antlr 4.13, and DVC's dependencies pin 4.9.
    """
    graph = runner.graph
    everything = set(graph.get_all_asset_keys())
    if selection is None:
        return everything - dg.AssetSelection.groups(*BY_HAND).resolve(graph)
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
    init: str | None = None,
) -> RunReport:
    """Materialize `selection` (default: all that is not made by hand alone) in dependency order, with the workspace's
    preset.

    `preset`, a name or a path, becomes the workspace's first, and a change is told. `init`: the models that trainings
    begin from, which becomes part of the preset; the default is then what fine-tuning needs, and what it gained. Raises
    what the first step that failed raised, as an error of the same class.
    """
    start = time.monotonic()
    # A wrong one is refused before anything is touched.
    wanted = None if preset is None else load_preset(preset)
    if init is not None:
        wanted, selection = preset_beginning_from(workspace, init, wanted), selection or FINE_TUNING
    corpora = [entry.name for entry in list_corpora(workspace)]
    if not corpora:
        raise UserError(
            f"no corpus is registered in {workspace.home}: type "
            "`magictalk corpus add NAME --kind folder --root DIR`, or `magictalk demo`"
        )
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        _settle_preset(workspace, wanted)
        prepare_home(workspace)
        runner = _Runner(workspace, on_asset)
        end_dead_runs(runner.instance)
        _bring_up_to_date(runner, corpora, _select(runner, selection), selection)
        record_results(workspace, (outcome.asset for outcome in runner.report.outcomes))
        forget_superseded_runs(runner.instance)
    runner.report.seconds = time.monotonic() - start
    return runner.report


def _settle_preset(workspace: Workspace, preset: Preset | None) -> None:
    """Spell the workspace's preset out, after it is changed to `preset` where one is given."""
    change = store_preset(workspace, preset or preset_of(workspace))
    if change.is_one:
        logger.warning("%s", change.line())


def _bring_up_to_date(runner: _Runner, corpora: Sequence[str], wanted: set[dg.AssetKey], selection: str | None) -> None:
    """Dagster runs: the data of all corpora, what is made from them together, and what is to be said of it."""
    data: set[dg.AssetKey] = set()
    shard_stages: dict[str, list[str]] = {}
    done: set[dg.AssetKey] = set()
    for corpus in corpora:
        keys = {
            name: dg.AssetKey([corpus, name]) for name in ("source", INDEX, *SHARD_STAGES, "shards", *RECORD_STAGES)
        }
        stages = [stage for stage in SHARD_STAGES if keys[stage] in wanted or keys["shards"] in wanted]
        # Without an index no shard is known: a selection of shard assets alone would do nothing and look finished.
        unknown = bool(stages) and not runner.workspace.index_table(corpus).is_file()
        if keys[INDEX] in wanted or unknown:
            data.add(keys[INDEX])  # it looks at the raw files first
        elif keys["source"] in wanted:
            runner.observe(corpus)
        if stages:
            data.add(keys["shards"])
            shard_stages[corpus] = stages
        data |= {keys[name] for name in RECORD_STAGES if keys[name] in wanted}
        done |= set(keys.values())
    if executor_choice() == "ray":
        data -= _on_the_cluster(runner, data, shard_stages)
    runner.materialize(data, shard_stages)
    accepted = accepted_by_split(runner.workspace, corpora)
    if begins_from(preset_of(runner.workspace)):
        must_hold_clips_out(wanted - done, accepted)
    rest = without_what_needs_test_clips(wanted - done, selection, accepted)
    rest = without_what_needs_labels(rest, selection, lambda: _emotions(runner.workspace, corpora))
    runner.materialize(rest - _LOOKING)
    runner.materialize(rest & _LOOKING)


def _emotions(workspace: Workspace, corpora: Sequence[str]) -> frozenset[str] | None:
    """That the accepted training clips are labelled with."""
    return emotions_to_learn(workspace, training_corpora(workspace, corpora, preset_of(workspace).training_set))


def _on_the_cluster(
    runner: _Runner, data: set[dg.AssetKey], shard_stages: Mapping[str, Sequence[str]]
) -> set[dg.AssetKey]:
    """Bring indexes and shards up to date before the rest, with a run for each shard; returns what needs no other run.

    `<corpus>/shards` finds them done, and records that.
    """
    indexes = {key for key in data if key.path[-1] == INDEX}
    runner.materialize(indexes)
    for corpus, stages in shard_stages.items():
        every = shards_of(read_index(runner.workspace, corpus))
        runner.materialize_apart([dg.AssetKey([corpus, stage]) for stage in stages], every)
    return indexes


def quiet_libraries() -> None:
    """Before a run in the terminal: what Dagster says about its API and DVC about every lock file is not for users."""
    import dvc  # its own import sets its loggers up

    for category in (dg.PreviewWarning, dg.BetaWarning):
        warnings.simplefilter("ignore", category)
    logging.getLogger(dvc.__name__).setLevel(logging.WARNING)
