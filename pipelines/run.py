"""`magictalk run`: bring a selection of assets up to date in this process, shard by shard, with one line per asset.

Unchanged work is found by content, so a second run computes nothing. Everything is recorded in the same instance that
`dagster dev` shows.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from assets.corpus import shard_partitions
from assets.recipes import GROUP as RECIPES
from magictalk_core.corpora.registry import list_corpora
from magictalk_core.errors import MagicTalkError, UserError
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.dvc_workspace import prepare_dvc_workspace
from pipelines.instance import COMMAND_TAG, end_dead_runs, open_instance
from pipelines.jobs import RECORD_STAGES, SHARD_STAGES

__all__ = ["AssetOutcome", "RunReport", "run"]

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

    def __init__(self, workspace: Workspace, preset: str, on_asset: Callable[[AssetOutcome], None]) -> None:
        self.workspace = workspace
        self.instance = open_instance(workspace)
        self.corpora = [entry.name for entry in list_corpora(workspace)]
        self.definitions = build_definitions(workspace, preset)
        self.assets: list[Any] = list(self.definitions.assets or [])
        self.resources = dict(self.definitions.resources or {})
        self.on_asset = on_asset
        self.report = RunReport()

    def materialize(self, keys: Sequence[dg.AssetKey], partition: str | None = None) -> None:
        if not keys:
            return
        result = dg.materialize(
            self.assets,
            selection=list(keys),
            instance=self.instance,
            resources=self.resources,
            partition_key=partition,
            run_config=QUIET_LOGS,
            raise_on_error=False,
            tags=COMMAND_TAG,
        )
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
            raise _failure(result)

    def observe(self, corpus: str) -> None:
        job = self.definitions.resolve_job_def(f"{corpus}_observe")
        result = job.execute_in_process(
            instance=self.instance, run_config=QUIET_LOGS, raise_on_error=False, tags=COMMAND_TAG
        )
        if not result.success:
            raise _failure(result)

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


def _failure(result: Any) -> MagicTalkError:
    """The cause of a failed run as one error of ours: the innermost message, with the step that raised it."""
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error.cause is not None:
                error = error.cause
            # Our own errors speak for themselves; of others the name of the type helps.
            text = re.sub(r"^magictalk_core\.errors\.\w+: ", "", error.message.strip())
            return UserError(f"{str(event.step_key).replace('__', '/')}: {text}")
    return UserError("the run failed; see the run's page in `dagster dev` for its log")


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
    keys |= {k for k in everything if k.path[-1] == "source" and dg.AssetKey([*k.path[:-1], "index"]) in keys}
    return keys


def run(
    workspace: Workspace,
    preset: str,
    selection: str | None = None,
    on_asset: Callable[[AssetOutcome], None] = lambda outcome: None,
) -> RunReport:
    """Materialize `selection` (default: everything but recipes) in dependency order."""
    start = time.monotonic()
    corpora = [entry.name for entry in list_corpora(workspace)]
    if not corpora:
        raise UserError(
            f"no corpus is registered in {workspace.home}: type "
            "`magictalk corpus add NAME --kind folder --root DIR`, or `magictalk demo`"
        )
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        prepare_dvc_workspace(workspace, preset, corpora)
        runner = _Runner(workspace, preset, on_asset)
        end_dead_runs(runner.instance)
        _bring_up_to_date(runner, corpora, _select(runner, selection))
    runner.report.seconds = time.monotonic() - start
    return runner.report


def _bring_up_to_date(runner: _Runner, corpora: Sequence[str], wanted: set[dg.AssetKey]) -> None:
    for corpus in corpora:
        if dg.AssetKey([corpus, "source"]) in wanted:
            runner.observe(corpus)
        runner.materialize([k for k in [dg.AssetKey([corpus, "index"])] if k in wanted])
        stages = [k for k in (dg.AssetKey([corpus, stage]) for stage in SHARD_STAGES) if k in wanted]
        if stages:
            for shard in sorted(runner.instance.get_dynamic_partitions(str(shard_partitions(corpus).name))):
                runner.materialize(stages, shard)
        runner.materialize([k for k in (dg.AssetKey([corpus, n]) for n in RECORD_STAGES) if k in wanted])
    done = {dg.AssetKey([c, n]) for c in corpora for n in ("source", "index", *SHARD_STAGES, *RECORD_STAGES)}
    runner.materialize(sorted(wanted - done, key=lambda key: key.to_user_string()))


def _print_outcome(outcome: AssetOutcome) -> None:
    name = outcome.asset + (f" [{outcome.partition}]" if outcome.partition else "")
    counts = ", ".join(f"{k.removeprefix('dagster/')} {v}" for k, v in outcome.counts.items() if k != "bytes")
    sys.stderr.write(f"  {name:<40} {outcome.seconds:7.1f} s  {counts}\n")


class _PlainFormatter(logging.Formatter):
    """The message as the library wrote it: Dagster's capture puts job, run and step in front of captured records."""

    def format(self, record: logging.LogRecord) -> str:
        captured = getattr(record, "dagster_meta", None)
        return str(captured["orig_message"]) if captured else super().format(record)


def _set_up_logging() -> None:
    import dvc  # its own import sets its loggers up; what it says about every lock file is not for our users

    for category in (dg.PreviewWarning, dg.BetaWarning):
        warnings.simplefilter("ignore", category)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PlainFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("magictalk").setLevel(logging.INFO)
    logging.getLogger(dvc.__name__).setLevel(logging.WARNING)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `python -m pipelines.run`, which `magictalk run` calls."""
    parser = argparse.ArgumentParser(prog="magictalk run", description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--preset", default="sample")
    parser.add_argument("--select")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    _set_up_logging()
    workspace = Workspace(options.home.resolve()) if options.home else Workspace.from_environment()
    try:
        report = run(workspace, options.preset, options.select, _print_outcome)
    except MagicTalkError as error:
        sys.stderr.write(f"magictalk run: {error}\n")
        return 2 if isinstance(error, UserError) else 1
    for check in report.failed_checks:
        sys.stderr.write(f"  check failed: {check}\n")
    if options.json:
        sys.stdout.write(json.dumps(asdict(report), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
