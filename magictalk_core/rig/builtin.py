"""The rig that needs no file: built on this project's own neutral face."""

from __future__ import annotations

from functools import cache

from magictalk_core.rig.anatomy import build_rig
from magictalk_core.rig.rig import Rig

__all__ = ["builtin_rig"]


@cache
def builtin_rig() -> Rig:
    """Built once per process; see `shapes.py` and `anatomy.py`."""
    return build_rig()
