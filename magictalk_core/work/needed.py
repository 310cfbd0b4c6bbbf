"""Files that another asset makes."""

from __future__ import annotations

from pathlib import Path

from magictalk_core.errors import PermanentError

__all__ = ["needed"]


def needed(path: Path, asset: str) -> Path:
    """`path`, which `asset` makes. Raises `PermanentError` that says what to type where it is not there yet."""
    if not path.is_file():
        raise PermanentError(f"{path} is not there: type `magictalk run --select {asset}`, then this again")
    return path
