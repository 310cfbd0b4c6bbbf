"""Resources bound to the environment: where the data lies, which preset, which DVC repository."""

from __future__ import annotations

import os
from typing import Any

import dagster as dg

from assets.resources import DvcRepository, Settings, Store
from magictalk_core.workspace import Workspace


def preset_from_environment() -> str:
    return os.environ.get("MAGICTALK_PRESET", "sample")


def build_resources(workspace: Workspace | None = None, preset: str | None = None) -> dict[str, Any]:
    """From arguments, else from `MAGICTALK_HOME`, `MAGICTALK_PRESET` and `MAGICTALK_DVC_ROOT` (default: the home)."""
    workspace = workspace or Workspace.from_environment()
    return {
        "store": Store(home=str(workspace.home)),
        "settings": Settings(preset=preset or preset_from_environment()),
        "dvc": DvcRepository(root=os.environ.get("MAGICTALK_DVC_ROOT") or str(workspace.home)),
        "launcher": dg.PipesSubprocessClient(),
    }
