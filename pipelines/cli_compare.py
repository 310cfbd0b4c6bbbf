"""`magictalk compare ...`: the systems of others that stand in the tables beside ours."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from magictalk_core.workspace import absolute
from pipelines.console import show_facts, show_rows
from pipelines.options import Home, Json, workspace_of, workspace_to_write

__all__ = ["compare_app"]

compare_app = typer.Typer(
    help="Systems of others in the tables: MakeItTalk, SadTalker, EAMM, PD-FGC, EVP, or folders of finished videos.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

System = Annotated[str, typer.Argument(help="makeittalk, sadtalker, eamm, pd_fgc, evp; with --videos any name")]


@compare_app.command("list")
def compare_list(home: Home = None, as_json: Json = False) -> None:
    """Every system: how it is given, how many clips have a video, and all that it lacks with where that comes from.

    Example: magictalk compare list
    """
    from magictalk_core.evaluation.external.choice import system_states

    states = system_states(workspace_of(home))
    if as_json:
        typer.echo(json.dumps([asdict(state) for state in states], indent=1))
        return
    for state in states:
        counts = f"{state.made} videos, {state.failed} without" if state.made or state.failed else "nothing made yet"
        typer.echo(f"{state.system:<12} {state.title:<12} {state.given_as:<7} {counts}")
        for lack in state.lacks:
            typer.echo(f"  lacks {lack}")


@compare_app.command("add")
def compare_add(
    system: System,
    checkout: Annotated[Path | None, typer.Option("--checkout", help="clone of its code, with its weights")] = None,
    python: Annotated[Path | None, typer.Option("--python", help="interpreter of its own environment")] = None,
    videos: Annotated[Path | None, typer.Option("--videos", help="folder of finished videos, named by clip")] = None,
    argument: Annotated[list[str] | None, typer.Option("--argument", help="added to its command; repeat")] = None,
    fit: Annotated[list[str] | None, typer.Option("--fit", help="evp: words of the fitting command; repeat")] = None,
    environment: Annotated[list[str] | None, typer.Option("--environment", help="NAME=VALUE; repeat")] = None,
    size: Annotated[str | None, typer.Option("--size", help="its output where --argument changes it: 512x512")] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="seconds that one clip may take")] = None,
    memory: Annotated[float | None, typer.Option("--memory", help="gigabytes that one clip may take")] = None,
    home: Home = None,
) -> None:
    """Compare with a system: its code is called at the next run, or its videos are taken. Says at once what is missing.

    Examples: magictalk compare add sadtalker --checkout SadTalker --python SadTalker/env/bin/python;
    magictalk compare add eamm --videos eamm_results
    """
    from magictalk_core.evaluation.external.choice import add_system, new_config, system_states
    from magictalk_core.storage.locks import held_or_refused

    config = new_config(
        system,
        checkout=None if checkout is None else absolute(checkout),
        # The links of an environment's interpreter are what makes it that environment's.
        python=None if python is None else python.expanduser().absolute(),
        videos=None if videos is None else absolute(videos),
        arguments=argument or (),
        fit=fit or (),
        environment=environment or (),
        size=size,
        timeout_s=timeout,
        memory_gb=memory,
    )
    workspace = workspace_to_write(home)
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        typer.echo(add_system(workspace, config))
    (state,) = [one for one in system_states(workspace) if one.system == system]
    for lack in state.lacks:
        typer.echo(f"{system} lacks {lack}", err=True)
    if config.videos is not None:
        from magictalk_core.evaluation.external.preview import preview_videos

        for line in preview_videos(workspace, config.videos):
            typer.echo(line, err=True)


@compare_app.command("remove")
def compare_remove(system: System, home: Home = None) -> None:
    """Compare with a system no longer; its videos are removed at the next run.

    Example: magictalk compare remove eamm
    """
    from magictalk_core.evaluation.external.choice import remove_system
    from magictalk_core.storage.locks import held_or_refused

    workspace = workspace_to_write(home)
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        typer.echo(remove_system(workspace, system))


@compare_app.command("run")
def compare_run(
    systems: Annotated[list[str] | None, typer.Argument(help="those to work on; default: all configured")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="try again what failed, though nothing changed")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Bring the videos of configured systems up to date: what `magictalk run --select external_videos` does, for some.

    Example: magictalk compare run sadtalker --retry
    """
    from assets.one_writer import writing
    from magictalk_core.corpora.registry import list_corpora
    from magictalk_core.evaluation.external.videos import make_external_videos
    from magictalk_core.presets.of_workspace import preset_of
    from magictalk_core.storage.locks import held_or_refused

    workspace = workspace_to_write(home)
    corpora = [entry.name for entry in list_corpora(workspace)]
    with (
        held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"),
        writing(workspace, "external_videos"),
    ):
        result = make_external_videos(workspace, corpora, preset_of(workspace), only=systems or (), retry=retry)
    facts = asdict(result) | {"path": str(result.path), "unmatched": [str(path) for path in result.unmatched]}
    show_facts(facts, as_json)


@compare_app.command("failed")
def compare_failed(home: Home = None, as_json: Json = False) -> None:
    """The clips that a system has no video of, each with its reason.

    Example: magictalk compare failed
    """
    from magictalk_core.storage.parquet import read_frame
    from magictalk_core.storage.schema import EXTERNAL_VIDEOS
    from magictalk_core.vocabulary.external import ExternalState
    from magictalk_core.work.needed import needed

    path = needed(workspace_of(home).external_videos, "external_videos")
    table = read_frame(EXTERNAL_VIDEOS, path, filters=[("state", "==", ExternalState.FAILED)])
    columns = ["method", "clip_id", "reason", "detail"]
    rows = [dict(zip(columns, row, strict=True)) for row in table[columns].astype(object).itertuples(index=False)]
    show_rows(rows, columns, as_json)
