"""What assets ask for: the workspace, the settings, the DVC repository, and where work runs.

Bound in `pipelines.resources`; `pipelines.ray_cluster` has the last two for many machines.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError
from pydantic import Field

from assets.training_hosts import run_training
from magictalk_core.presets.of_workspace import preset_of
from magictalk_core.presets.preset import Preset
from magictalk_core.work.isolation import map_isolated
from magictalk_core.work.mapper import TaskMapper
from magictalk_core.workspace import Workspace


class Store(dg.ConfigurableResource):
    """Where everything lies."""

    home: str = Field(description="the folder $MAGICTALK_HOME")

    @property
    def workspace(self) -> Workspace:
        return Workspace(Path(self.home))


class Settings(dg.ConfigurableResource):
    """The workspace's preset, for whoever starts a job: `presets.of_workspace`."""

    home: str = Field(description="the folder $MAGICTALK_HOME, whose preset.yaml holds the settings")

    def load(self) -> Preset:
        return preset_of(Workspace(Path(self.home)))


class DvcRepository(dg.ConfigurableResource):
    """The only writer of `dvc.lock`. One at a time: its asset sits in the pool `dvc`, which has one slot."""

    root: str = Field(description="the folder $MAGICTALK_HOME, which is a DVC and a Git repository")

    def keep(self, corpus: str) -> str:
        """Put the dataset of `corpus` into the cache; returns the `<md5>.dir` that went into `dvc.lock`."""
        # Imported here: the definitions must load without DVC.
        from magictalk_core.lineage.snapshots import record_dataset

        return record_dataset(Workspace(Path(self.root)), corpus)

    def commit(self, message: str) -> str | None:
        """Commit what is small to Git; the commit, None where nothing changed or commits are off."""
        from magictalk_core.lineage.snapshots import commit_workspace

        return commit_workspace(Workspace(Path(self.root)), message)


class ClipWorkers(dg.ConfigurableResource):
    """Where the clips of a shard are worked on: in children of the step's own process."""

    workers: int = Field(0, ge=0, description="children at a time on one machine; 0: as many as it has processors")

    @property
    def mapper(self) -> TaskMapper:
        return map_isolated


class TrainingLauncher(dg.ConfigurableResource):
    """Starts a training beside the step's process, through Pipes: in a fork of a host, or under torchrun."""

    python: str = Field(sys.executable, description="the interpreter that trains")

    def train(self, context: dg.AssetExecutionContext, arguments: Sequence[str], processes: int) -> None:
        """Run `magictalk_core.commands.train` with `arguments` to its end."""
        if processes > 1:
            command = [self.python, *training_module(processes), *arguments]
            dg.PipesSubprocessClient().run(context=context, command=command)
            return
        files = dg.PipesTempFileContextInjector(), dg.PipesTempFileMessageReader()
        with dg.open_pipes_session(context, *files) as session:
            code = run_training(self.python, arguments, os.environ | session.get_bootstrap_env_vars())
            if code != 0:
                raise DagsterPipesExecutionError(f"External execution process failed with code {code}")


def training_module(processes: int) -> list[str]:
    """What stands behind `python` to train in so many processes; only the first one reports to Dagster."""
    module = ["-m", "magictalk_core.commands.train"]
    if processes == 1:
        return module
    return ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *module]
