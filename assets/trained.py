"""What the page of a model shows: where its run is in MLflow, its losses as a plot, its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.links import mlflow_link
from assets.pictures import curves_picture
from magictalk_core.workspace import Workspace

if TYPE_CHECKING:
    from magictalk_core.training.run import TrainedModel

__all__ = ["trained_metadata"]


def trained_metadata(workspace: Workspace, trained: TrainedModel) -> dict[str, Any]:
    """Metadata of a finished training. A run that was tracked nowhere has no link."""
    shown: dict[str, Any] = {**trained.facts(), "path": dg.MetadataValue.path(trained.path)}
    shown["bytes"] = sum(file.stat().st_size for file in trained.path.rglob("*") if file.is_file())
    shown["losses"] = curves_picture(trained.curves, workspace.cache("pictures"))
    if trained.run_id:
        shown["mlflow.url"] = mlflow_link(workspace, trained.run_id)
    return shown
