"""Addresses for metadata: where a browser on this machine finds a run of MLflow, a report, a video.

`magictalk ui` says where its servers answer; a job that was started elsewhere assumes the usual places.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import dagster as dg

from magictalk_core.workspace import Workspace

__all__ = ["FILES_ADDRESS", "MLFLOW_ADDRESS", "file_link", "file_url", "mlflow_link", "mlflow_version_link"]

MLFLOW_ADDRESS = "MAGICTALK_MLFLOW_ADDRESS"
FILES_ADDRESS = "MAGICTALK_FILES_ADDRESS"
"""Environment variables."""


def mlflow_link(workspace: Workspace, run_id: str) -> dg.UrlMetadataValue:
    """The page of a training's run."""
    return dg.MetadataValue.url(f"{_mlflow_server(workspace)}/#/runs/{run_id}")


def mlflow_version_link(workspace: Workspace, model: str, version: int) -> dg.UrlMetadataValue:
    """The page of a registered version."""
    return dg.MetadataValue.url(f"{_mlflow_server(workspace)}/#/models/{model}/versions/{version}")


def _mlflow_server(workspace: Workspace) -> str:
    uri = workspace.mlflow_uri
    server = uri if uri.startswith("http") else os.environ.get(MLFLOW_ADDRESS, "http://127.0.0.1:5000")
    return server.rstrip("/")


def file_url(workspace: Workspace, path: Path) -> str:
    """The address of a report or a video; a `file:` one where nobody serves it."""
    server = os.environ.get(FILES_ADDRESS)
    relative = quote(path.relative_to(workspace.home).as_posix())
    return f"{server.rstrip('/')}/{relative}" if server else path.as_uri()


def file_link(workspace: Workspace, path: Path) -> dg.UrlMetadataValue:
    return dg.MetadataValue.url(file_url(workspace, path))
