"""Resources bound to a workspace: where the data lies, its preset, its DVC repository."""

from __future__ import annotations

from typing import Any

import dagster as dg

from assets.resources import DvcRepository, Settings, Store
from magictalk_core.workspace import Workspace


def build_resources(workspace: Workspace) -> dict[str, Any]:
    """All of them are the workspace's own: no job can be given other settings or another repository."""
    home = str(workspace.home)
    return {
        "store": Store(home=home),
        "settings": Settings(home=home),
        "dvc": DvcRepository(root=home),
        "launcher": dg.PipesSubprocessClient(),
    }
