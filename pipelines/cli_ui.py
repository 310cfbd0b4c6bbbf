"""`magictalk ui`: Dagster and MLflow of a workspace in the browser, on this machine alone."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.options import Home, workspace_to_write
from pipelines.stopping import stopped_as_by_ctrl_c

__all__ = ["ui"]


def ui(
    home: Home = None,
    port: Annotated[int, typer.Option("--port", min=1024, max=65535, help="Dagster's; the next free one")] = 3000,
    mlflow_port: Annotated[
        int, typer.Option("--mlflow-port", min=1024, max=65535, help="MLflow's; the next free one")
    ] = 5000,
) -> None:
    """Start Dagster (webserver and daemon) and MLflow on 127.0.0.1; Ctrl-C stops both.

    The home is prepared first, an empty one too. Nothing is reachable from other machines.

    Example: magictalk ui --home /data/magictalk
    """
    # Imported here: Dagster takes seconds, and `magictalk --help` must not.
    from pipelines.home import prepare_home, prepare_records
    from pipelines.services import MLFLOW, environment_of, running, services_of, wait_until_one_ends

    workspace = workspace_to_write(home)
    prepare_home(workspace)
    prepare_records(workspace)
    services = services_of(workspace, port, mlflow_port)
    try:
        told = environment_of(workspace, services)
        with (
            stopped_as_by_ctrl_c(),
            running(services, told, lambda one: typer.echo(f"{one.name:<8} {one.address}")) as started,
        ):
            if not any(one.name == MLFLOW for one in services):
                typer.echo(f"MLflow   {workspace.mlflow_uri}")
            typer.echo(f"home     {workspace.home}\nCtrl-C stops them.")
            wait_until_one_ends(services, started)
    except KeyboardInterrupt:
        typer.echo("stopped")
