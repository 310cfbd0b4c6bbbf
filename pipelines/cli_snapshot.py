"""`magictalk snapshot ...`: the states of a workspace's data: list them, compare them, go back, copy them elsewhere."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from pipelines.console import show_facts, show_rows
from pipelines.options import Home, Json, workspace_of, workspace_to_write

__all__ = ["snapshot_app"]

snapshot_app = typer.Typer(
    help="States of the workspace's data: list, compare, restore, push, pull.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_REF = "its commit, HEAD~1, a tag, or the beginning of a dataset's digest"
Remote = Annotated[str | None, typer.Option("--remote", help="name of a DVC remote; default: the repository's default")]
All = Annotated[bool, typer.Option("--all", help="the data of every snapshot, not only of the present one")]


@snapshot_app.command("list")
def snapshot_list(home: Home = None, as_json: Json = False) -> None:
    """The snapshots, newest first, with the digest of each dataset and the preset that made them.

    Example: magictalk snapshot list --json
    """
    from magictalk_core.lineage.snapshots import list_snapshots

    rows = [snapshot.facts() for snapshot in list_snapshots(workspace_of(home))]
    show_rows(rows, ["snapshot", "made", "datasets", "preset", "reason"], as_json)


@snapshot_app.command("diff")
def snapshot_diff(
    one: Annotated[str, typer.Argument(help=f"a snapshot: {_REF}")],
    other: Annotated[str | None, typer.Argument(help="a later one; default: the data as they lie there now")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Clips added, removed, changed and decided otherwise, and how far every channel has shifted, from ONE to OTHER.

    Example: magictalk snapshot diff HEAD~1
    """
    from magictalk_core.lineage.snapshot_diff import diff_snapshots
    from pipelines.snapshot_text import print_diff

    diff = diff_snapshots(workspace_of(home), one, other)
    if as_json:
        typer.echo(json.dumps([asdict(diff)], indent=1, default=str))
    else:
        print_diff(diff)


@snapshot_app.command("restore")
def snapshot_restore(
    snapshot: Annotated[str, typer.Argument(help=f"a snapshot: {_REF}")],
    force: Annotated[
        bool, typer.Option("--force", help="even when data on disk are in no snapshot: they are lost")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Lay the data, the registered corpora and the preset of a snapshot out again, as a new commit.

    Train on them by naming assets without a plus in front: with it the corpora are looked at, and raw files that are
    new since then come in again.

    Example: magictalk snapshot restore HEAD~1
    """
    from magictalk_core.lineage.snapshots import restore_snapshot
    from magictalk_core.storage.locks import held_or_refused

    workspace = workspace_to_write(home)
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        done = restore_snapshot(workspace, snapshot, force)
    facts = {**done.snapshot.facts(), "commit": done.commit and done.commit[:10], "files": len(done.files)}
    show_facts(facts | {"unregistered": list(done.unregistered), "newer": list(done.newer)}, as_json)
    if not as_json:
        _say_what_is_newer(done.newer)


def _say_what_is_newer(assets: tuple[str, ...]) -> None:
    if not assets:
        typer.echo("all results that lie here are of these data: `dvc status` names nothing", err=True)
        return
    typer.echo(
        f"not restored: {', '.join(assets)} lie here as other data made them, and `dvc status` names them until then\n"
        f'next: magictalk run --select "{" ".join(assets)}" makes them of these data; what was made of them before is '
        "found again",
        err=True,
    )


@snapshot_app.command("push")
def snapshot_push(remote: Remote = None, everything: All = False, home: Home = None) -> None:
    """Copy the data of the present snapshot to a DVC remote, such as a folder on another disk.

    Set one up by `dvc remote add --default storage /mnt/disk/store` in the workspace. The small files are Git's:
    `git clone` or `git push` takes them along.

    Example: magictalk snapshot push --all
    """
    from magictalk_core.lineage.snapshots import push_snapshots

    sent = push_snapshots(workspace_to_write(home), remote, everything)
    typer.echo(f"{sent} files sent", err=True)


@snapshot_app.command("pull")
def snapshot_pull(remote: Remote = None, everything: All = False, home: Home = None) -> None:
    """Bring the data of the present snapshot from a DVC remote and lay them out, as in a fresh clone.

    Example: magictalk snapshot pull --home clone
    """
    from magictalk_core.lineage.snapshots import pull_snapshots
    from magictalk_core.storage.locks import held_or_refused

    workspace = workspace_to_write(home)
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        came = pull_snapshots(workspace, remote, everything)
    typer.echo(f"{came} files came", err=True)
