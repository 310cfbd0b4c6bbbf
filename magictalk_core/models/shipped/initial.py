"""What `training.init` may say, and the model folder that it means: the shipped models, or a folder of models."""

from __future__ import annotations

import os
from pathlib import Path

from magictalk_core.errors import UserError
from magictalk_core.models.shipped.base import BASE, BASE_FAMILIES, base_folder
from magictalk_core.training.in_use import runs_in_use
from magictalk_core.training.run import WEIGHTS, current_run
from magictalk_core.workspace import absolute

__all__ = ["SHIPPED", "initial_folder"]

SHIPPED = "base"
"""`magictalk-base`, in its short form."""


def initial_folder(family: str, init: str) -> Path:
    """The model folder of `family` that `init` means: `base`, a folder with one model folder per family (as
    `magictalk-base` is), or a workspace, whose model in use it then is. Raises `UserError` where there is none."""
    if init in (SHIPPED, BASE):
        if family not in BASE_FAMILIES:
            raise UserError(f"training.init: {BASE} has no {family}; it has {', '.join(BASE_FAMILIES)}")
        return base_folder(family)
    # Of os.path, which takes whatever somebody may type for a path.
    if os.path.isdir(os.path.expanduser(init)):
        folder = absolute(Path(init))
        if (folder / family / WEIGHTS).is_file():
            return folder / family
        if runs_in_use(folder / "models" / family) is not None:
            return current_run(folder / "models" / family).path
    raise UserError(
        f"training.init: `{init}` holds no {family}: expected `{SHIPPED}`, a workspace that has trained it, or a "
        f"folder with {family}/{WEIGHTS}"
    )
