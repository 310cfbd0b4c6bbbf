"""`magictalk mlflow ...`: what trainings report to MLflow."""

from __future__ import annotations

from dataclasses import asdict

import typer

from magictalk_core.errors import TransientError
from pipelines.console import show_rows
from pipelines.options import Home, Json, workspace_of

__all__ = ["mlflow_app"]

mlflow_app = typer.Typer(help="What trainings report to MLflow.", no_args_is_help=True, rich_markup_mode=None)


@mlflow_app.command("sync")
def mlflow_sync(home: Home = None, as_json: Json = False) -> None:
    """Send the curves and files of trainings that MLflow did not take because it was down. Nothing is sent twice.

    Example: MLFLOW_TRACKING_URI=http://tracking:5000 magictalk mlflow sync
    """
    from magictalk_core.training.sync import send_what_waits

    workspace = workspace_of(home)
    found = send_what_waits(workspace.home / "models", workspace.mlflow_uri)
    show_rows([asdict(row) for row in found], ["run", "sent", "waiting", "mlflow_run", "problem"], as_json)
    failed = [row for row in found if row.problem]
    if failed:
        raise TransientError(f"MLflow at {workspace.mlflow_uri} does not answer ({failed[0].problem}): start it first")
    typer.echo(f"{sum(row.sent for row in found)} records sent to {workspace.mlflow_uri}", err=True)
