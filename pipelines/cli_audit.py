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
        audited = audit_workspace(workspace, raw, report)
    found = repaired(workspace, audited) if repair else audited.report
    _show(found, as_json)
    raise typer.Exit(1 if found.wrong else 0)


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
