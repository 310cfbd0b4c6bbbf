"""The listing of a corpus's raw files, with the hash of each."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from magictalk_core.corpora.registry import CorpusEntry
from magictalk_core.errors import PermanentError
from magictalk_core.lineage.hashes import file_md5
from magictalk_core.tables.schema import SOURCE

__all__ = ["AUDIO_SUFFIXES", "VIDEO_SUFFIXES", "list_source"]

logger = logging.getLogger("magictalk.corpora")

VIDEO_SUFFIXES = frozenset((".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v"))
AUDIO_SUFFIXES = frozenset((".m4a", ".wav"))

_PROGRESS_EVERY = 1000


def list_source(entry: CorpusEntry, previous: pd.DataFrame | None, workers: int) -> pd.DataFrame:
    """SOURCE rows of every media file below the root, sorted by path (posix, relative to the root).

    Hidden files and folders are left out (archives from macOS are full of `._001.mp4`), and so are symbolic links to
    folders or to files outside the root. The md5 of `previous` is taken over where size and modification time are
    unchanged; everything else is read, `workers` files at a time.
    """
    if not entry.root.is_dir():
        raise PermanentError(f"corpus `{entry.name}`: its folder {entry.root} is not there: is the disk mounted?")
    known = {}
    if previous is not None:
        known = {(row.path, row.bytes, row.mtime_ns): row.md5 for row in previous.itertuples(index=False)}
    stats = [(path, entry.root.joinpath(path).stat()) for path in sorted(_media_files(entry.root))]
    listed = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    changed = [key for key in listed if key not in known]
    logger.info("%s: %d media files, %d to read", entry.name, len(listed), len(changed))
    with ThreadPoolExecutor(max(1, workers)) as pool:
        hashes = pool.map(lambda key: file_md5(entry.root / key[0]), changed)
        for done, (key, md5) in enumerate(zip(changed, hashes, strict=True), start=1):
            known[key] = md5
            if done % _PROGRESS_EVERY == 0:
                logger.info("%s: %d of %d files read", entry.name, done, len(changed))
    return pd.DataFrame([(*key, known[key]) for key in listed], columns=list(SOURCE.names))


def _media_files(root: Path) -> Iterator[str]:
    """Relative posix paths of the media files below `root`."""
    real_root = root.resolve()
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in [n for n in folders if (here / n).is_symlink()]:
            logger.warning("%s is a link to a folder: not followed", here / name)
        for name in files:
            path = here / name
            if name.startswith(".") or path.suffix.lower() not in VIDEO_SUFFIXES | AUDIO_SUFFIXES:
                continue
            if _is_usable(path, real_root):
                yield path.relative_to(root).as_posix()


def _is_usable(path: Path, real_root: Path) -> bool:
    if not path.is_file():
        return False
    if path.is_symlink() and not path.resolve().is_relative_to(real_root):
        logger.warning("%s links out of the corpus folder: left out", path)
        return False
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        logger.warning("%r is no UTF-8 name and cannot stand in a table: left out; rename it", str(path))
        return False
    return True
