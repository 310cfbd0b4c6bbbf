"""Something with its time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Timed"]

Item = TypeVar("Item")


@dataclass(frozen=True)
class Timed(Generic[Item]):
    """Something shown from `time_s` for `duration_s`."""

    time_s: float
    duration_s: float
    item: Item
