"""Commands that run until somebody stops them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["stopped_as_by_ctrl_c"]


@contextmanager
def stopped_as_by_ctrl_c() -> Iterator[None]:
    """SIGINT and SIGTERM raise `KeyboardInterrupt` in the block, also where whoever started us told us to ignore them,
    as a shell does with the background jobs of a script."""
    before = {number: signal.signal(number, _as_ctrl_c) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _as_ctrl_c(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
