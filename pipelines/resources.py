"""Resources bound to a workspace: where the data lies, its preset, its DVC repository."""

from __future__ import annotations

import os
import sys
from typing import Any

from assets.machines import LAUNCHER, MAPPER
from assets.resources import ClipWorkers, DvcRepository, Settings, Store, TrainingLauncher
from magictalk_core.errors import UserError
from magictalk_core.workspace import Workspace


def build_resources(workspace: Workspace) -> dict[str, Any]:
    """All of them are the workspace's own: no job can be given other settings or another repository."""
    home = str(workspace.home)
    return {
        "store": Store(home=home),
        "settings": Settings(home=home),
        "dvc": DvcRepository(root=home),
        "clip_workers": _clip_workers(),
        "launcher": _launcher(),
    }


def _clip_workers() -> ClipWorkers:
    if not _on_ray(MAPPER):
        return ClipWorkers(workers=0)
    from pipelines.ray_cluster import RayClipWorkers

    return RayClipWorkers(workers=0)


def _launcher() -> TrainingLauncher:
    if not _on_ray(LAUNCHER):
        return TrainingLauncher(python=sys.executable)
    from pipelines.executors import handed_on_variables
    from pipelines.ray_cluster import RayTrainingLauncher

    return RayTrainingLauncher(python="python", variables=handed_on_variables())


def _on_ray(variable: str) -> bool:
    choice = os.environ.get(variable) or "local"
    if choice not in ("local", "ray"):
        raise UserError(f"{variable}: expected local or ray, found `{choice}`")
    return choice == "ray"
