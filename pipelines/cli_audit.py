"""`magictalk audit`: is everything in the workspace still what it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.console import progress, show_facts, show_rows
from pipelines.options import Home, Json, workspace_of

if TYPE_CHECKING:
    from magictalk_core.lineage.integrity.findings import AuditReport

__all__ = ["audit_app"]

audit_app = typer.Typer(rich_markup_mode=None)


@audit_app.command()
def audit(
    repair: Annotated[
        bool, typer.Option("--repair", help="restore from DVC's cache, its remote, or another copy in the workspace")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw/--no-raw", help="read the raw files of the corpora too")] = True,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Read every file again and compare it with what was recorded. Exit code 1 when something is wrong.

    Examples: magictalk audit; magictalk audit --repair; magictalk audit --no-raw --json
    """
    from magictalk_core.lineage.integrity.audit import audit as audit_workspace
    from magictalk_core.lineage.integrity.repair import repaired

    workspace = workspace_of(home)
    with progress("files read") as report:
        found = repaired(workspace, raw, report) if repair else audit_workspace(workspace, raw, report).report
    _show(found, as_json)
    raise typer.Exit(1 if found.wrong else 0)


@audit_app.command()
def gc(
    delete: Annotated[bool, typer.Option("--delete", help="remove the files; without it they are only listed")] = False,
    days: Annotated[float, typer.Option("--days", min=0, help="keep what is younger: a run may go on with it")] = 14,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Files that no current shard and no snapshot needs: cached pieces, media, objects in DVC's cache, halves of files.

    Examples: magictalk gc; magictalk gc --delete --days 0
    """
    from magictalk_core.lineage.garbage import collect_garbage

    workspace = workspace_of(home)
    found = collect_garbage(workspace, days, delete)
    if as_json:
        rows = [{"kind": one.kind, "path": str(one.path), "bytes": one.bytes, "deleted": delete} for one in found]
        typer.echo(json.dumps(rows, indent=1))
        return
    for kind in sorted({one.kind for one in found}):
        of_kind = [one for one in found if one.kind == kind]
        typer.echo(f"{kind}: {len(of_kind)} files, {sum(one.bytes for one in of_kind)} bytes")
    said = "removed" if delete else "not needed (nothing was removed; --delete does)"
    typer.echo(f"{sum(one.bytes for one in found)} bytes in {len(found)} files {said}")


def _show(found: AuditReport, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1))
        return
    rows = [{"kind": f.kind.value, "path": f.path, "what": f.repaired or f.what} for f in found.findings]
    if rows:
        show_rows(rows, ["kind", "path", "what"], as_json=False)
    for note in found.notes:
        typer.echo(f"note: {note}", err=True)
    facts = {"files": found.files, "bytes": found.bytes, "seconds": found.seconds}
    show_facts({**facts, "wrong": len(found.wrong), "repaired": len(rows) - len(found.wrong)}, as_json=False)
