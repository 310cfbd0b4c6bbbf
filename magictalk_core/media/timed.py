"""Something with its time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Generic, TypeVar

__all__ = ["Timed"]

Item = TypeVar("Item")


class Timed(Generic[Item]):
    """Something shown from `time_s` for `duration_s`: made when it is first asked for, and kept.

    A frame that no reader takes, as every other one of a video of 50 a second, is never prepared.
    """

    def __init__(self, time_s: float, duration_s: float, make: Callable[[], Item]) -> None:
        self.time_s, self.duration_s = time_s, duration_s
        self._make: Callable[[], Item] | None = make

    @classmethod
    def of(cls, time_s: float, duration_s: float, item: Item) -> Timed[Item]:
        """One that is there already."""
        return cls(time_s, duration_s, lambda: item)

    @cached_property
    def item(self) -> Item:
        assert self._make is not None
        made, self._make = self._make(), None  # what it was made of is let go
        return made
