"""`magictalk export ...`: what a workspace holds, in the standards of the field."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.options import Home, workspace_of

__all__ = ["export_app"]

export_app = typer.Typer(
    help="What the workspace holds, in the field's standards.", no_args_is_help=True, rich_markup_mode=None
)

Output = Annotated[Path | None, typer.Option("-o", "--output", help="file to write; default: standard output")]
Family = Annotated[str, typer.Argument(help="a model family, for example emodiff")]


@export_app.command("croissant")
def export_croissant(
    dataset: Annotated[str, typer.Argument(help="arkit_dataset, or the name of a corpus")] = "arkit_dataset",
    published: Annotated[
        datetime | None, typer.Option("--published", formats=["%Y-%m-%d"], help="the day of publication")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="where it is published")] = None,
    creator: Annotated[str | None, typer.Option("--creator", help="who publishes it")] = None,
    home: Home = None,
    output: Output = None,
) -> None:
    """Croissant 1.1 (JSON-LD) of a dataset. Paths in it are relative to the dataset's folder.

    Examples: magictalk export croissant; magictalk export croissant mead -o mead.json --published 2026-12-01
    """
    from magictalk_core.lineage.exports.datasets import arkit_croissant, corpus_croissant
    from magictalk_core.work.needed import needed

    workspace = workspace_of(home)
    if dataset == "arkit_dataset":
        folder = needed(workspace.arkit_dataset / "meta" / "info.json", dataset).parents[1]
        found = arkit_croissant(workspace, folder)
    else:
        found = corpus_croissant(workspace, dataset)
    if published is not None:
        found["datePublished"] = published.date().isoformat()
    if url is not None:
        found["url"] = url
    if creator is not None:
        found["creator"] = {"@type": "sc:Organization", "name": creator}
    _write(found, output)


@export_app.command("openlineage")
def export_openlineage(home: Home = None, output: Output = None) -> None:
    """OpenLineage run events of all that was made, from its provenance records: one JSON object a line.

    Example: magictalk export openlineage -o events.jsonl
    """
    from magictalk_core.lineage.exports.openlineage import run_events
    from magictalk_core.lineage.exports.upstream import current_records

    workspace = workspace_of(home)
    lines = (json.dumps(event) for event in run_events(workspace.home, current_records(workspace.home)))
    _write_text("".join(f"{line}\n" for line in lines), output)


@export_app.command("ml-bom")
def export_ml_bom(family: Family, home: Home = None, output: Output = None) -> None:
    """CycloneDX 1.6 bill of materials of the model in use: data, licences, weights with their hashes.

    Example: magictalk export ml-bom emodiff -o emodiff.cdx.json
    """
    from magictalk_core.lineage.exports.ml_bom import ml_bom
    from magictalk_core.lineage.exports.model_facts import model_facts

    _write(ml_bom(model_facts(workspace_of(home), family)), output)


@export_app.command("model-card")
def export_model_card(family: Family, home: Home = None, output: Output = None) -> None:
    """The card of the model in use as Markdown; `magictalk run --select report` lays all cards into the report.

    Example: magictalk export model-card emodiff -o README.md
    """
    from magictalk_core.lineage.exports.model_facts import model_facts
    from magictalk_core.report.model_card import model_card_text

    _write_text(model_card_text(model_facts(workspace_of(home), family)), output)


def _write(document: dict[str, Any], output: Path | None) -> None:
    _write_text(json.dumps(document, indent=1) + "\n", output)


def _write_text(text: str, output: Path | None) -> None:
    from magictalk_core.storage.atomic import write_text
    from magictalk_core.storage.outputs import must_be_writable

    if output is None:
        typer.echo(text, nl=False)
        return
    must_be_writable(output)
    write_text(output, text)
    typer.echo(output)
