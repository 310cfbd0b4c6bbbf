"""Options that several commands share, and the workspace that `--home` means."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated

import typer

from magictalk_core.errors import UserError
from magictalk_core.storage.outputs import must_take_files
from magictalk_core.workspace import Workspace, absolute
from pipelines.one_line import remember_workspace

__all__ = ["CurveFormat", "Home", "Json", "PresetOption", "workspace_of", "workspace_to_write"]

Home = Annotated[Path | None, typer.Option("--home", help="workspace; default $MAGICTALK_HOME or ./data")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document on standard output")]
PresetOption = Annotated[
    str | None,
    typer.Option("--preset", help="sample, base, own_face, paper, or a YAML file: from now on the workspace's preset"),
]
CurveFormat = Annotated[
    str | None, typer.Option("--format", help="parquet, csv, livelink, gltf or usd; default: by the suffix")
]

_CHOOSE = "choose another with --home or $MAGICTALK_HOME"


def workspace_of(home: Path | None) -> Workspace:
    """The workspace of a command; it need not exist yet."""
    workspace = Workspace(absolute(home)) if home else Workspace.from_environment()
    try:
        if not stat.S_ISDIR(os.stat(workspace.home).st_mode):
            raise UserError(f"{workspace.home}: a file, expected a folder: {_CHOOSE}")
    except FileNotFoundError:
        pass  # what writes into it says why it cannot be made
    except OSError as error:
        raise UserError(f"--home {workspace.home}: {error.strerror}: {_CHOOSE}") from error
    remember_workspace(workspace)
    return workspace


def workspace_to_write(home: Path | None) -> Workspace:
    """As `workspace_of`, of a command that writes into it: one that cannot be written to is refused before the work."""
    workspace = workspace_of(home)
    try:
        must_take_files(workspace.home, f"--home {workspace.home}")
    except UserError as error:
        raise UserError(f"{error} with --home or $MAGICTALK_HOME") from error
    return workspace
