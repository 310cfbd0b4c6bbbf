"""Where lies what belongs to a person and to no workspace: fetched weights, and the key that signs videos."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from magictalk_core.errors import UserError
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.outputs import must_take_files

__all__ = ["cache_root", "keep_in_cache", "must_take_cached_files"]

_logger = logging.getLogger("magictalk.cache")


def cache_root() -> Path:
    """`$MAGICTALK_CACHE`, or `~/.cache/magictalk`."""
    root = os.environ.get("MAGICTALK_CACHE")
    if root:
        return Path(root)
    try:
        return Path.home() / ".cache" / "magictalk"
    except RuntimeError as error:
        raise UserError(f"{error}: set MAGICTALK_CACHE to a folder that can be written") from error


def must_take_cached_files() -> None:
    """Raise `UserError` where nothing can be written below `cache_root`."""
    root = cache_root()
    must_take_files(root, f"the cache {root} (set MAGICTALK_CACHE for another)")


def keep_in_cache(file: Path, text: str) -> None:
    """Write what can be measured again. A cache that takes no files costs that time again, and is told, not fatal."""
    try:
        write_text(file, text)
    except OSError as error:
        _logger.warning(
            "%s: %s: measured again next time; set MAGICTALK_CACHE to a folder that can be written",
            file.parent,
            error.strerror or error,
        )
