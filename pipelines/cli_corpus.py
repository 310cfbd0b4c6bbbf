"""`magictalk corpus ...`: register raw corpora, bring their files, and see what is there."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from magictalk_core.corpora.kinds import KINDS, kind_names
from pipelines.console import show_rows
from pipelines.options import Home, Json, workspace_of, workspace_to_write

__all__ = ["corpus_app"]

_SPLITS = "; ".join(f"{name}: {', '.join(kind.splits)}" for name, kind in KINDS.items())

corpus_app = typer.Typer(help="Register raw corpora.", no_args_is_help=True, rich_markup_mode=None)


@corpus_app.command("add")
def corpus_add(
    name: Annotated[str, typer.Argument(help="name of the corpus: the first part of its clip ids")],
    kind: Annotated[str, typer.Option("--kind", help=f"layout on disk: {kind_names()}")],
    root: Annotated[
        Path,
        typer.Option("--root", help="folder with the raw files; never written to; below $MAGICTALK_RAW, it may move"),
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels", help=f"{kind_names(lambda kind: kind.takes_labels)}: CSV with path, speaker, emotion ..."
        ),
    ] = None,
    views: Annotated[
        str, typer.Option("--views", help=f"{kind_names(lambda kind: kind.views)}: views, comma-separated, or all")
    ] = "",
    split: Annotated[str, typer.Option("--split", help=f"auto, its first, or one of {_SPLITS}")] = "auto",
    buckets: Annotated[
        int | None, typer.Option("--buckets", help=f"{kind_names(lambda kind: kind.buckets)}: number of shards")
    ] = None,
    licence: Annotated[str, typer.Option("--licence", help="licence or terms of the raw clips")] = "unknown",
    synthetic: Annotated[
        bool | None,
        typer.Option("--synthetic/--filmed", help="whether the clips are made by a program; default: the kind's"),
    ] = None,
    training: Annotated[
        bool, typer.Option("--training/--no-training", help="whether training sets take its clips")
    ] = True,
    replace: Annotated[bool, typer.Option("--replace", help="replace a corpus of the same name")] = False,
    home: Home = None,
) -> None:
    """Register a corpus. Nothing is read but the folder's existence; a folder that holds only lists is fine.

    Example: magictalk corpus add mead --kind mead --root /data/MEAD
    """
    from magictalk_core.corpora.registry import add_corpus, new_entry, view_names

    workspace = workspace_to_write(home)
    options: dict[str, Any] = {"views": view_names(views), "split": split, "buckets": buckets}
    options |= {"synthetic": synthetic, "training": training}
    entry = new_entry(name=name, kind=kind, root=root, labels=labels, licence=licence, **options)
    add_corpus(workspace, entry, replace=replace)
    typer.echo(f"registered `{entry.name}` ({entry.kind}) at {entry.root}; next: magictalk run")


@corpus_app.command("list")
def corpus_list(home: Home = None, as_json: Json = False) -> None:
    """The registered corpora, with clip counts where they were indexed.

    Example: magictalk corpus list --json
    """
    from magictalk_core.preparation.listing import corpus_overview

    rows = corpus_overview(workspace_of(home))
    show_rows(rows, ["name", "kind", "root", "clips", "ok", "rejected", "dataset"], as_json)


@corpus_app.command("unpack")
def corpus_unpack(
    name: Annotated[str, typer.Argument(help="name of a corpus that has archives")],
    keep_partial: Annotated[
        bool, typer.Option("--keep-partial", help="of a damaged archive, keep the files before the damage")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Unpack the archives that a corpus is published as, such as MEAD's video.tar, into the workspace.

    Unchanged ones are left alone. An archive with a dangerous member is refused as a whole. Exit code 0 even then: the
    table says which.

    Example: magictalk corpus unpack mead
    """
    from magictalk_core.acquire.archives import unpack_corpus
    from magictalk_core.corpora.registry import load_corpus

    workspace = workspace_to_write(home)
    entry = load_corpus(workspace, name)
    results = unpack_corpus(workspace, entry, lambda line: typer.echo(line, err=True), keep_partial=keep_partial)
    show_rows([asdict(r) for r in results], ["archive", "status", "files", "bytes", "skipped", "detail"], as_json)
    refused = sum(r.status == "refused" for r in results)
    typer.echo(f"{len(results)} archives below {entry.root}, {refused} refused", err=True)


@corpus_app.command("fetch")
def corpus_fetch(
    name: Annotated[str, typer.Argument(help="name of a corpus that is published as lists")],
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="at most so many recordings in this run")] = None,
    retry_misses: Annotated[bool, typer.Option("--retry-misses", help="try again what was gone")] = False,
    pause: Annotated[float, typer.Option("--pause", min=0, help="seconds between two downloads")] = 5.0,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Download the videos that a corpus's lists name; needs pip install 'magictalk[fetch]'. Run it again to go on.

    Exit code 0 even when videos are gone: they are listed. 1 when it stopped early, as when the site blocks us.

    Example: magictalk corpus fetch hdtf --limit 20
    """
    from magictalk_core.acquire.fetch import fetch_corpus
    from magictalk_core.acquire.wanted import wanted_recordings
    from magictalk_core.acquire.ytdlp import YtDlpFetcher
    from magictalk_core.corpora.registry import load_corpus

    workspace = workspace_to_write(home)
    entry = load_corpus(workspace, name)
    wanted_recordings(entry)  # a corpus without lists is refused before a missing yt-dlp is
    options: dict[str, Any] = {"limit": limit, "retry_misses": retry_misses, "pause_s": pause}
    summary = fetch_corpus(workspace, entry, YtDlpFetcher(), lambda line: typer.echo(line, err=True), **options)
    if as_json:
        typer.echo(json.dumps(asdict(summary), indent=1))
    else:
        show_rows([asdict(m) for m in summary.misses], ["file", "address", "status", "tries", "detail"], False)
    typer.echo(summary.line(), err=True)
    raise typer.Exit(1 if summary.stopped else 0)


@corpus_app.command("observe")
def corpus_observe(name: Annotated[str, typer.Argument(help="name of a registered corpus")], home: Home = None) -> None:
    """List the raw files, reading only those that changed; `dvc repro` compares listing.json with what it ran with.

    `magictalk run` does this first of all by itself.

    Example: magictalk corpus observe mead
    """
    from magictalk_core.preparation.listing import observe_source
    from magictalk_core.storage.locks import held_or_refused

    workspace = workspace_to_write(home)
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        observe_source(workspace, name)
    typer.echo(workspace.listing(name))


@corpus_app.command("check")
def corpus_check(
    name: Annotated[str, typer.Argument(help="name of a registered corpus")], home: Home = None, as_json: Json = False
) -> None:
    """What a corpus should hold against what is here: lists, names, missing files, and clips by status and reason.

    No media are opened. Problems in the data are part of the answer: the exit code is 0.

    Example: magictalk corpus check hdtf --json
    """
    from magictalk_core.corpora.check import check_corpus
    from magictalk_core.corpora.check_text import print_check
    from magictalk_core.corpora.registry import load_corpus

    workspace = workspace_of(home)
    check = check_corpus(workspace, load_corpus(workspace, name))
    if as_json:
        typer.echo(json.dumps(check.as_dict(), indent=1))
    else:
        print_check(check)
