"""`magictalk lineage`: what made something, and what was made from it. Reads provenance records and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipelines.one_line import plain
from pipelines.options import Home, Json, workspace_of

__all__ = ["lineage_app"]

lineage_app = typer.Typer(rich_markup_mode=None)


@lineage_app.command()
def lineage(
    ref: Annotated[
        str,
        typer.Argument(
            help="path of a file, asset (training_set, sample/manifest, models/emodiff), clip, speaker (corpus/speaker)"
            ", raw file, hash or the beginning of one, or MLflow run"
        ),
    ],
    downstream: Annotated[
        bool, typer.Option("--downstream", help="what was made from it, instead of what made it")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="name every shard and raw file, where they would be counted")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="write the graph to this page, which needs no other")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What an output was made from, down to raw files, or what was made from it. Works offline.

    A video that came back from somewhere is known by its content or its C2PA manifest. Of a clip, a speaker or a raw
    file, --downstream is what a change of it would make again.

    Example: magictalk lineage videos/comparison/sample-W901-front-happy-level_3-002.mp4
    """
    from magictalk_core.lineage.as_text import as_values, tree_lines
    from magictalk_core.lineage.clip_index import ClipIndex
    from magictalk_core.lineage.descendants import downstream_graph
    from magictalk_core.lineage.graph import upstream_graph
    from magictalk_core.lineage.reference import find_subject, must_have_records
    from magictalk_core.lineage.registry import Registry

    workspace = workspace_of(home)
    registry, clips = Registry.read(workspace), ClipIndex(workspace)
    must_have_records(registry)
    subject = find_subject(registry, clips, ref)
    graph = downstream_graph(registry, clips, subject)[0] if downstream else upstream_graph(registry, clips, subject)
    for line in registry.broken:
        typer.echo(f"left out: {line}", err=True)
    if html is not None:
        from magictalk_core.lineage.as_html import html_page
        from magictalk_core.storage.atomic import write_text
        from magictalk_core.storage.outputs import must_be_writable

        must_be_writable(html)
        write_text(html, html_page(graph, subject.title, subject.how))
        typer.echo(f"written: {html}", err=True)
    if as_json:
        values = {"subject": subject.title, "how": subject.how, "downstream": downstream, **as_values(graph)}
        typer.echo(json.dumps(values, indent=1))
    elif html is None:
        for line in tree_lines(graph, not downstream, everything):
            typer.echo(plain(line))


@lineage_app.command("lineage-report")
def lineage_report(home: Home = None, as_json: Json = False) -> None:
    """What is stale, orphaned or unverifiable, where records and systems disagree, and what every model obliges to.

    Asks records, dvc.lock and MLflow; the asset of this name also asks Dagster's event log. Exit code 1 where something
    is unverifiable or in disagreement.

    Example: magictalk lineage-report --json
    """
    from magictalk_core.lineage.report import look_at_lineage, report_markdown

    report = look_at_lineage(workspace_of(home))
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=1))
    else:
        typer.echo(report_markdown(report))
    raise typer.Exit(1 if report.disagreements or report.of("unverifiable") else 0)
