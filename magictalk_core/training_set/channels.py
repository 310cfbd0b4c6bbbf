"""Which columns of a motion the lips own. By name: trackers are blind to some, and lists differ in order."""

from __future__ import annotations

from collections.abc import Sequence

from magictalk_core.errors import PermanentError
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES, POSE_NAMES

__all__ = ["coefficient_names", "columns_of", "mouth_names"]


def mouth_names(channels: Sequence[str]) -> tuple[str, ...]:
    """Those of the 27 jaw and mouth channels that are in `channels`, in ARKit's order; `jawOpen` must be one."""
    if "jawOpen" not in channels:
        raise PermanentError(f"lips: expected `jawOpen` among the channels, found {', '.join(channels) or 'none'}")
    return tuple(name for name in JAW_MOUTH_NAMES if name in channels)


def coefficient_names(channels: Sequence[str]) -> tuple[str, ...]:
    """`channels` without the head pose, in their order."""
    return tuple(name for name in channels if name not in POSE_NAMES)


def columns_of(names: Sequence[str], channels: Sequence[str], what: str) -> list[int]:
    """The column of each name. Raises `PermanentError` naming what is missing from `what`."""
    missing = [name for name in names if name not in channels]
    if missing:
        raise PermanentError(f"{what}: expected the channels the model was trained on, missing {', '.join(missing)}")
    return [list(channels).index(name) for name in names]
