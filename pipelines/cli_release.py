"""`magictalk release ...`: which models are in use, and putting another one in use by hand."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from pipelines.console import show_facts, show_rows
from pipelines.options import Home, Json, workspace_of, workspace_to_write

__all__ = ["release_app"]

release_app = typer.Typer(
    help="Which trained model is in use, and putting another one in use.", no_args_is_help=True, rich_markup_mode=None
)

Family = Annotated[str, typer.Argument(help="emodiff, audio2bs, lip_residue or sync_expert")]
Reason = Annotated[str, typer.Option("--reason", help="why, in words; stands in MLflow and in the record")]

_COLUMNS = ["family", "version", "aliases", "weights_md5", "registered", "here", "reason"]


@release_app.command("list")
def release_list(
    family: Annotated[str | None, typer.Argument(help="one family; default: all")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """The registered versions, newest first; the alias `champion` marks the one in use.

    Example: magictalk release list emodiff --json
    """
    from magictalk_core.release.by_hand import list_versions

    workspace = workspace_of(home)
    rows = [asdict(row) for row in list_versions(workspace, *([[family]] if family else []))]
    show_rows(rows, _COLUMNS, as_json)


@release_app.command("promote")
def release_promote(
    family: Family,
    version: Annotated[int, typer.Argument(help="its number, as `magictalk release list` shows it", min=1)],
    reason: Reason,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Put a version in use, whatever the comparison said. The one in use before is kept as `previous`.

    Example: magictalk release promote emodiff 3 --reason "reviewed with the animators"
    """
    from magictalk_core.release.by_hand import promote

    _show(promote(workspace_to_write(home), family, version, reason), as_json)


@release_app.command("rollback")
def release_rollback(family: Family, reason: Reason, home: Home = None, as_json: Json = False) -> None:
    """Put the previous champion back in use, bit for bit. The one it replaces is not promoted again by itself.

    Example: magictalk release rollback emodiff --reason "mouth jumps at the start of clips"
    """
    from magictalk_core.release.by_hand import roll_back

    _show(roll_back(workspace_to_write(home), family, reason), as_json)


def _show(decision: Any, as_json: bool) -> None:
    champion, before = decision.champion, decision.before
    facts = {
        "family": decision.family,
        "in use": f"version {champion.version}",
        "weights md5": champion.weights_md5,
        "run": champion.run,
        "before": f"version {before.version}" if before else None,
        "reason": decision.reason,
        "next": "magictalk run, for scores and videos of this model",
    }
    show_facts(facts, as_json)
