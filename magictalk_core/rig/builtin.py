"""The rig that needs no file: built on this project's own neutral face."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from magictalk_core.rig.anatomy import build_rig
from magictalk_core.rig.rig import Rig, save_rig
from magictalk_core.work.provenance import Work
from magictalk_core.workspace import Workspace

__all__ = ["RIG_VERSION", "builtin_rig", "write_builtin_rig"]

RIG_VERSION = "2"


@cache
def builtin_rig() -> Rig:
    """Built once per process; see `shapes.py` and `anatomy.py`."""
    return build_rig()


def write_builtin_rig(workspace: Workspace) -> tuple[Path, str]:
    """The rig as the workspace's `rig.npz`; its path and md5."""
    path = workspace.rig / "rig.npz"
    work = Work(workspace.home, "rig", path, RIG_VERSION)
    record = work.made()
    if record is None:
        rig = builtin_rig()
        save_rig(rig, path)
        record = work.record(stand_ins=[f"rig={rig.name}"])
    return path, record.md5
