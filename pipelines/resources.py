"""Resources bound to the environment: where the data lies, which preset, which DVC repository."""

from __future__ import annotations

import os
from typing import Any

from assets.machines import LAUNCHER, MAPPER
from assets.resources import ClipWorkers, DvcRepository, Settings, Store, TrainingLauncher
from magictalk_core.errors import UserError
from magictalk_core.workspace import Workspace


def build_resources(workspace: Workspace | None = None, preset: str | None = None) -> dict[str, Any]:
    """From arguments, else from `MAGICTALK_HOME`, `MAGICTALK_PRESET` and `MAGICTALK_DVC_ROOT` (default: the home)."""
    workspace = workspace or Workspace.from_environment()
    return {
        "store": Store(home=str(workspace.home)),
        "settings": Settings(preset=preset or os.environ.get("MAGICTALK_PRESET", "sample")),
        "dvc": DvcRepository(root=os.environ.get("MAGICTALK_DVC_ROOT") or str(workspace.home)),
        "clip_workers": _clip_workers(),
        "launcher": _launcher(),
    }


def _clip_workers() -> ClipWorkers:
    if not _on_ray(MAPPER):
        return ClipWorkers()
    from pipelines.ray_cluster import RayClipWorkers

    return RayClipWorkers()


def _launcher() -> TrainingLauncher:
    if not _on_ray(LAUNCHER):
        return TrainingLauncher()
    from pipelines.executors import handed_on_variables
    from pipelines.ray_cluster import RayTrainingLauncher

    return RayTrainingLauncher(python="python", variables=handed_on_variables())


def _on_ray(variable: str) -> bool:
    choice = os.environ.get(variable) or "local"
    if choice not in ("local", "ray"):
        raise UserError(f"{variable}: expected local or ray, found `{choice}`")
    return choice == "ray"
