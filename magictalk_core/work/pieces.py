"""Which pieces of the cache a shard was put together from, with their hashes.

A piece is named by its work, not by its content, and may lie in the cache for years before it is read again. So each
shard leaves a sealed list of its pieces: the audit reads them against it, and what no list names may be collected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.sealed import is_sealed_whole, sealed

__all__ = ["ListedPiece", "read_piece_list", "write_piece_list"]


@dataclass(frozen=True)
class ListedPiece:
    """The piece of a clip: `file` is relative to the cache of its step."""

    clip_id: str
    file: str
    md5: str


def write_piece_list(path: Path, pieces: Mapping[str, Path], cache: Path) -> None:
    """List `pieces` (clip id -> file below `cache`) as they are now."""
    listed = {
        clip: {"file": piece.relative_to(cache).as_posix(), "md5": file_md5(piece)} for clip, piece in pieces.items()
    }
    write_text(path, sealed(json.dumps({"pieces": listed}, indent=1, sort_keys=True)))


def read_piece_list(path: Path) -> list[ListedPiece]:
    """Raises `PermanentError` where the list is not as it was written."""
    content = path.read_bytes()
    if not is_sealed_whole(content):
        raise PermanentError(f"{path}: damaged, its seal is not that of its content: remove it, then `magictalk run`")
    pieces = json.loads(content)["pieces"]
    return [ListedPiece(clip, piece["file"], piece["md5"]) for clip, piece in pieces.items()]
