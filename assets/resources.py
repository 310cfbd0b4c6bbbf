"""What assets ask for: the workspace, the settings and the DVC repository. Bound in `pipelines.resources`."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
from pydantic import Field

from magictalk_core.presets.of_workspace import preset_of
from magictalk_core.presets.preset import Preset
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
