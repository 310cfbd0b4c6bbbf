"""`magictalk`: the command line. Every command calls one function of the library or of the pipeline."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from magictalk_core import __version__
from magictalk_core.workspace import Workspace
from pipelines.cli_audit import audit_app
from pipelines.cli_compare import compare_app
from pipelines.cli_corpus import corpus_app
from pipelines.cli_export import export_app
from pipelines.cli_files import files_app
from pipelines.cli_lineage import lineage_app
from pipelines.cli_live import live_app
from pipelines.cli_mlflow import mlflow_app
from pipelines.cli_preset import preset_app
from pipelines.cli_release import release_app
from pipelines.cli_snapshot import snapshot_app
from pipelines.cli_study import study_app
from pipelines.cli_ui import ui
from pipelines.cli_weights import weights_app
from pipelines.cli_withdraw import withdraw_app
from pipelines.console import set_up_logging
from pipelines.one_line import OneLineErrors
from pipelines.options import Home, Json, PresetOption, workspace_of, workspace_to_write

app = typer.Typer(
    name="magictalk",
    cls=OneLineErrors,
    help="Emotional talking faces as a data and model pipeline. All data lives under $MAGICTALK_HOME (default ./data).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="log what the library does; errors with their traceback")
    ] = False,
) -> None:
    set_up_logging(verbose)
    if version:
        typer.echo(f"magictalk {__version__}")
        raise typer.Exit


@app.command()
def run(
    select: Annotated[
        str | None,
        typer.Option("--select", help="assets; + for upstream or downstream, e.g. `+mead/manifest` or `training_set+`"),
    ] = None,
    preset: PresetOption = None,
    init: Annotated[
        str | None,
        typer.Option("--init", help="models that trainings begin from: base, a workspace, or a folder of models"),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Bring assets up to date: all of them, or a selection. Unchanged work is not done again.

    --preset becomes the workspace's preset, as by `magictalk preset set`, and stays so for every run after it.
    --init base fine-tunes the models that come with the package, with the preset own_face if no other is given, and
    says what was gained on held-out clips.

    Example: magictalk run --preset sample --select "mead/index mead/media"
    """
    _run_pipeline(workspace_of(home), preset, select, as_json, init)


@app.command()
def demo(home: Home = None, preset: PresetOption = None) -> None:
    """Build the sample corpus and run the whole chain on it, from raw clips to a comparison video and a report.

    Example: magictalk demo --home /tmp/magictalk-demo
    """
    from magictalk_core.presets.preset import load_preset
    from pipelines.demo import demo_selection, prepare_demo, summarize_demo

    if preset is not None:
        load_preset(preset)  # refused before the corpus is made
    workspace = workspace_to_write(home)
    prepare_demo(workspace)
    _run_pipeline(workspace, preset, demo_selection(workspace), as_json=False)
    typer.echo(summarize_demo(workspace))


def _run_pipeline(
    workspace: Workspace, preset: str | None, select: str | None, as_json: bool, init: str | None = None
) -> None:
    # Imported here: Dagster takes seconds, and `magictalk --help` must not.
    from pipelines.run import AssetOutcome, quiet_libraries, run

    def show(outcome: AssetOutcome) -> None:
        name = outcome.asset + (f" [{outcome.partition}]" if outcome.partition else "")
        counts = ", ".join(f"{k.removeprefix('dagster/')} {v}" for k, v in outcome.counts.items() if k != "bytes")
        typer.echo(f"  {name:<40} {outcome.seconds:7.1f} s  {counts}", err=True)
        if outcome.says:
            typer.echo(f"  {outcome.says}", err=True)

    quiet_libraries()
    report = run(workspace, preset, select, show, init)
    for check in report.failed_checks:
        typer.echo(f"  check failed: {check}", err=True)
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=1))


app.command()(ui)
app.add_typer(files_app)
app.add_typer(live_app)
app.add_typer(audit_app)
app.add_typer(lineage_app)
app.add_typer(corpus_app, name="corpus")
app.add_typer(compare_app, name="compare")
app.add_typer(study_app, name="study")
app.add_typer(mlflow_app, name="mlflow")
app.add_typer(release_app, name="release")
app.add_typer(preset_app, name="preset")
app.add_typer(snapshot_app, name="snapshot")
app.add_typer(weights_app, name="weights")
app.add_typer(export_app, name="export")
app.add_typer(withdraw_app, name="withdraw")


def main() -> None:
    app()


if __name__ == "__main__":
    main()
