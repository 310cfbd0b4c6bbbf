"""What assets ask for: the workspace, the settings, the DVC repository, and where work runs.

Bound in `pipelines.resources`; `pipelines.ray_cluster` has the last two for many machines.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from magictalk_core.errors import PermanentError, TransientError
from magictalk_core.presets.preset import Preset, load_preset
from magictalk_core.work.dvc_state import damaged_dvc_files
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
    """The settings of the run."""

    preset: str = Field("sample", description="preset name (sample, paper) or path of a YAML file")

    def load(self) -> Preset:
        return load_preset(self.preset)


class DvcRepository(dg.ConfigurableResource):
    """The only writer of `dvc.lock`. One at a time: its asset sits in the pool `dvc`, which has one slot."""

    root: str = Field(description="directory of the DVC repository that holds the workspace")

    def commit(self, stage: str) -> str:
        """Record the outputs of `stage` as they lie on disk; returns the `<md5>.dir` that went into `dvc.lock`.

        Raises `TransientError` while another DVC command holds the repository, `PermanentError` when its files are
        damaged.
        """
        # Imported here: DVC takes about a second, and the definitions must load without it.
        from dvc.lock import LockError
        from dvc.repo import Repo

        damaged = damaged_dvc_files(Path(self.root))
        if damaged:
            raise PermanentError(
                f"{damaged[0]}: DVC cannot read it, as after a kill or a full disk: rename it while no DVC "
                "command runs, then go on (`magictalk run` does so in its own workspace)"
            )
        repo = Repo(self.root)
        try:
            # Without force, commit asks a question and raises where nobody can answer it.
            repo.commit(f"{self.root}/dvc.yaml:{stage}", force=True)
        except LockError as error:
            raise TransientError(f"{self.root}: another DVC command holds it; wait until it ends") from error
        finally:
            repo.close()
        return self.locked_hash(stage)

    def locked_hash(self, stage: str) -> str:
        import yaml

        lock = Path(self.root) / "dvc.lock"
        stages: dict[str, Any] = (yaml.safe_load(lock.read_text()) or {}).get("stages", {}) if lock.is_file() else {}
        if stage not in stages:
            raise PermanentError(f"{lock}: no entry for stage `{stage}`: run `dvc commit {stage}` in {self.root}")
        return next(str(out["md5"]) for out in stages[stage]["outs"] if str(out["md5"]).endswith(".dir"))


class ClipWorkers(dg.ConfigurableResource):
    """Where the clips of a shard are worked on: in children of the step's own process."""

    workers: int = Field(0, ge=0, description="children at a time on one machine; 0: as many as it has processors")

    @property
    def mapper(self) -> TaskMapper:
        return map_isolated


class TrainingLauncher(dg.ConfigurableResource):
    """Starts a training beside the step's process, through Pipes: plain, or under torchrun for several processes."""

    python: str = Field(sys.executable, description="the interpreter that trains")

    def train(self, context: dg.AssetExecutionContext, arguments: Sequence[str], processes: int) -> Any:
        """Run `magictalk_core.commands.train` with `arguments` to its end; returns what it reported."""
        command = [self.python, *training_module(processes), *arguments]
        return dg.PipesSubprocessClient().run(context=context, command=command).get_materialize_result()


def training_module(processes: int) -> list[str]:
    """What stands behind `python` to train in so many processes; only the first one reports to Dagster."""
    module = ["-m", "magictalk_core.commands.train"]
    if processes == 1:
        return module
    return ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *module]
