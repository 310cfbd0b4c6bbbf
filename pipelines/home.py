"""A home that is ready for every way in: the command line, Dagster's UI and daemon, MLflow, DVC.

Whoever comes first prepares it, and what is there already stays: the command line before a run, `magictalk ui` before
it starts anything, and the definitions whenever Dagster loads them, so that a corpus registered later has its stage.
"""

from __future__ import annotations

from magictalk_core.corpora.registry import list_corpora
from magictalk_core.presets.of_workspace import preset_of
from magictalk_core.storage.locks import one_at_a_time
from magictalk_core.workspace import Workspace
from pipelines.dvc_workspace import prepare_repository
from pipelines.instance import write_instance_files

__all__ = ["prepare_home", "prepare_records"]


def prepare_home(workspace: Workspace) -> None:
    """Dagster's settings, a preset, and the repository with a stage for every registered corpus.

    Several processes may call it at once.
    """
    with one_at_a_time(workspace.lock("home")):
        write_instance_files(workspace)
        preset_of(workspace)
        prepare_repository(workspace, [entry.name for entry in list_corpora(workspace)])


def prepare_records(workspace: Workspace) -> None:
    """Make the tables of MLflow's embedded database: several processes at their first contact would race for it.

    Nothing is done where a server keeps them.
    """
    uri = workspace.mlflow_uri
    if not uri.startswith("sqlite:"):
        return
    # Imported here: MLflow takes seconds.
    from mlflow import MlflowClient

    with one_at_a_time(workspace.lock("mlflow")):
        workspace.mlflow.mkdir(parents=True, exist_ok=True)
        MlflowClient(uri).search_experiments(max_results=1)
