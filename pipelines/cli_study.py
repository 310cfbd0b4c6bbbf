"""`magictalk study ...`: a user study as a page to hand out, and Figure 7 from what comes back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from magictalk_core.workspace import absolute
from pipelines.console import show_facts
from pipelines.options import Home, Json, workspace_of, workspace_to_write

__all__ = ["study_app"]

study_app = typer.Typer(
    help="A user study: blinded pairs as a page that opens from file, Figure 7 from the answers.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@study_app.command("make")
def study_make(
    out: Annotated[Path, typer.Option("--out", help="new folder for the page and its videos")],
    clips: Annotated[int, typer.Option("--clips", min=1, help="test clips, spread over all")] = 4,
    pairs_each: Annotated[int, typer.Option("--pairs-each", min=0, help="pairs per person, drawn; 0: all")] = 0,
    checks: Annotated[int, typer.Option("--checks", min=0, help="attention checks for everybody")] = 2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="of names, sides and order")] = 0,
    method: Annotated[
        list[str] | None, typer.Option("--method", help="compare these; default: magictalk and all other systems")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make the page: hand out the folder `--out`; which video is whose stays in the workspace, in study/key.json.

    Example: magictalk study make --out study_page --clips 4 --pairs-each 20
    """
    from magictalk_core.corpora.registry import list_corpora
    from magictalk_core.errors import UserError
    from magictalk_core.evaluation.study.make import make_study
    from magictalk_core.presets.of_workspace import preset_of

    workspace = workspace_to_write(home)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"--out {out}: is there already: name a new folder")
    made = make_study(
        workspace,
        [entry.name for entry in list_corpora(workspace)],
        preset_of(workspace),
        absolute(out),
        clips=clips,
        pairs_each=pairs_each,
        checks=checks,
        seed=seed,
        methods=method or (),
    )
    show_facts(asdict(made) | {"page": str(made.page), "key": str(made.key), "methods": list(made.methods)}, as_json)


@study_app.command("add")
def study_add(
    files: Annotated[list[Path], typer.Argument(help="files that the page handed out")], home: Home = None
) -> None:
    """Take answers into the workspace; a file that cannot count is refused by name, and then none is taken.

    Example: magictalk study add answers/*.json
    """
    from magictalk_core.evaluation.study.returned import add_returned

    workspace = workspace_of(home)
    new, total = add_returned(workspace, files)
    typer.echo(f"{new} new, {total} in all: type `magictalk study figure --home {workspace.home}`")


@study_app.command("figure")
def study_figure(home: Home = None, as_json: Json = False) -> None:
    """Figure 7 from the answers: what `magictalk run --select figures/user_study` makes, and where it is.

    Example: magictalk study figure
    """
    from assets.one_writer import writing
    from magictalk_core.evaluation.study.figure import make_user_study, read_results

    workspace = workspace_of(home)
    with writing(workspace, "figures/user_study"):
        result = make_user_study(workspace)
    told = read_results(result.path)
    facts = {"figure": str(result.path), "participants": result.participants, "excluded": told["excluded"] or None}
    show_facts(facts | {"agreement": told["agreement"], "reason": told["reason"]}, as_json)
