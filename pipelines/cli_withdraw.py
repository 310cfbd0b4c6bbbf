"""`magictalk withdraw`: take clips, speakers and sources back, for good where it is asked for."""

from __future__ import annotations

import getpass
import json
import shutil
import subprocess
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from magictalk_core.errors import UserError
from magictalk_core.workspace import Workspace
from pipelines.console import show_facts, show_rows
from pipelines.options import Home, Json, workspace_of, workspace_to_write

__all__ = ["withdraw_app"]

withdraw_app = typer.Typer(
    help="Take clips, speakers and sources back.", invoke_without_command=True, rich_markup_mode=None
)

By = Annotated[str | None, typer.Option("--by", help="who signs it; default: the name in Git, else the user's")]
Names = list[str]


@withdraw_app.callback()
def withdraw(
    context: typer.Context,
    clip: Annotated[
        Names | None, typer.Option("--clip", help="clip id, e.g. mead/M003/front-happy-level_1-001")
    ] = None,
    speaker: Annotated[Names | None, typer.Option("--speaker", help="speaker, e.g. mead/M003")] = None,
    source: Annotated[Names | None, typer.Option("--source", help="source recording, e.g. hdtf/RD_Radio11")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="why, in words; it is recorded")] = None,
    by: By = None,
    purge: Annotated[
        bool,
        typer.Option("--purge", help="remove media, rows, cache pieces and DVC objects for good; no undo after it"),
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="with --purge: delete the user's own raw files as well")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="search for everything that is withdrawn; exit code 1 where it is in use")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would happen, and write nothing")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take clips, speakers or sources back, with all their copies: nothing made afterwards contains them.

    Example: magictalk withdraw --speaker mead/M003 --reason "letter of 3 March" --purge
    """
    if context.invoked_subcommand is not None:
        return
    named = {kind: names for kind, names in (("clip", clip), ("speaker", speaker), ("source", source)) if names}
    if verify:
        _verify(workspace_of(home), as_json)
        return
    if len(named) != 1:
        raise UserError("expected one of --clip, --speaker and --source: see `magictalk withdraw --help`")
    if not reason and not dry_run:
        raise UserError("--reason: expected why, in words: it is signed into the record")
    if raw and not purge:
        raise UserError("--raw goes with --purge: without it nothing is deleted")
    from magictalk_core.lineage.withdrawing import Asked, withdraw_clips
    from magictalk_core.storage.locks import held_or_refused

    kind, names = next(iter(named.items()))
    workspace = workspace_of(home) if dry_run else workspace_to_write(home)
    asked = Asked(kind, tuple(names), str(reason), by or _user(), purge, raw, dry_run)  # type: ignore[arg-type]
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        outcome = withdraw_clips(workspace, asked)
    if as_json:
        typer.echo(json.dumps(asdict(outcome), indent=1, default=str))
        return
    show_facts(outcome.facts(), as_json=False)
    if outcome.affected:
        typer.echo()
        show_rows([asdict(one) for one in outcome.affected], ["kind", "name", "how", "clips", "why"], as_json=False)


def _verify(workspace: Workspace, as_json: bool) -> None:
    from magictalk_core.lineage.absence import verify_absence
    from magictalk_core.lineage.withdraw import duplicate_limit

    start = time.monotonic()
    absence = verify_absence(workspace, duplicate_limit(workspace))
    if as_json:
        values = asdict(absence) | {"is_proven": absence.is_proven}
        typer.echo(json.dumps(values, indent=1, default=str))
    else:
        rows = [asdict(trace) for trace in absence.traces]
        if rows:
            show_rows(rows, ["kind", "name", "how", "awaits_purge", "detail"], as_json=False)
            typer.echo()
        facts: dict[str, Any] = {"proven": "yes" if absence.is_proven else "NO: what is withdrawn is in use"}
        facts |= {f"searched {what}": n for what, n in absence.searched.items()}
        facts |= {"raw files left": [str(one.path) for one in absence.raw]}
        show_facts({**facts, "seconds": round(time.monotonic() - start, 2)}, as_json=False)
    raise typer.Exit(0 if absence.is_proven else 1)


@withdraw_app.command("list")
def withdraw_list(home: Home = None, as_json: Json = False) -> None:
    """Every withdrawal: who, when, why, how many clips, and whether it was purged or undone.

    Example: magictalk withdraw list
    """
    from magictalk_core.corpora.withdrawals import read_withdrawals

    withdrawals = read_withdrawals(workspace_of(home))
    rows = []
    for number, line in sorted({**withdrawals.active, **withdrawals.undone}.items()):
        state = "undone" if number in withdrawals.undone else "in force"
        if number in withdrawals.purging:
            state = "purged" if number in withdrawals.purged else "purge interrupted"
        row = {"number": number, "state": state, "time": line.time, "by": line.by, "kind": line.kind}
        rows.append({**row, "names": ", ".join(line.names), "clips": len(line.clips), "reason": line.reason})
    show_rows(rows, ["number", "state", "time", "by", "kind", "names", "clips", "reason"], as_json)


@withdraw_app.command("undo")
def withdraw_undo(
    number: Annotated[int, typer.Argument(help="number of the withdrawal, as `magictalk withdraw list` says")],
    reason: Annotated[str, typer.Option("--reason", help="why, in words; it is recorded")],
    by: By = None,
    home: Home = None,
) -> None:
    """Undo a mistaken withdrawal; the next run has its clips again. Not after a purge.

    Example: magictalk withdraw undo 3 --reason "wrong speaker"
    """
    from magictalk_core.lineage.withdraw import undo_withdrawal
    from magictalk_core.storage.locks import held_or_refused
    from magictalk_core.work.withdrawn_marks import unmark_outputs

    workspace = workspace_to_write(home)
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        line = undo_withdrawal(workspace, number, by or _user(), reason)
        unmark_outputs(workspace.home, number)
    typer.echo(f"withdrawal {number} is undone by {line.by}; next: magictalk run")


def _user() -> str:
    """Who is at the keyboard: the name in Git's settings, else the login."""
    git = shutil.which("git")
    if git is not None:
        asked = subprocess.run([git, "config", "user.name"], capture_output=True, text=True, check=False)
        if asked.stdout.strip():
            return asked.stdout.strip()
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise UserError("--by: expected who signs it: this machine knows no name of yours") from error
