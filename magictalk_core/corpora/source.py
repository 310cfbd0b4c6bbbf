"""The listing of a corpus's raw files, with the hash of each.

Two places are listed: the folder that the user named, which is only ever read, and the corpus's `local` folder in the
workspace, where unpacked archives and fetched videos lie. Files of the second have the prefix `@local/`.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from magictalk_core.corpora.registry import CorpusEntry
from magictalk_core.errors import PermanentError
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.schema import SOURCE

__all__ = ["AUDIO_SUFFIXES", "LOCAL", "VIDEO_SUFFIXES", "list_source", "raw_file"]

logger = logging.getLogger("magictalk.corpora")

VIDEO_SUFFIXES = frozenset((".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v"))
AUDIO_SUFFIXES = frozenset((".m4a", ".wav"))
LIST_SUFFIXES = frozenset((".txt",))
"""Corpora whose clips stand in lists become stale when a list changes."""

LOCAL = "@local/"

_PROGRESS_EVERY = 1000
_MD5_OF_NOTHING = hashlib.md5(b"").hexdigest()

_Listed = tuple[str, int, int]
"""(path, bytes, mtime_ns)."""


def raw_file(root: Path, local: Path, path: str) -> Path:
    """Where the file of a SOURCE path lies."""
    return local / path.removeprefix(LOCAL) if path.startswith(LOCAL) else root / path


def _suffixes(entry: CorpusEntry) -> frozenset[str]:
    media = VIDEO_SUFFIXES | AUDIO_SUFFIXES
    return media | LIST_SUFFIXES if entry.kind in ("hdtf", "talkinghead1kh") else media


def list_source(entry: CorpusEntry, local: Path, previous: pd.DataFrame | None, workers: int) -> pd.DataFrame:
    """SOURCE rows of every media and list file below the root and below `local`, sorted by path (posix).

    Hidden files and folders are left out (archives from macOS are full of `._001.mp4`), and so are symbolic links to
    folders or to files outside the root. The md5 of `previous` is taken over where size and modification time are
    unchanged; everything else is read, `workers` files at a time.
    """
    if not entry.root.is_dir():
        raise PermanentError(f"corpus `{entry.name}`: its folder {entry.root} is not there: is the disk mounted?")
    suffixes = _suffixes(entry)
    listed = list(_files(entry.root, "", suffixes))
    if local.is_dir():
        listed += _files(local, LOCAL, suffixes)
    listed.sort()
    known = _known(previous)
    changed = [key for key in listed if key not in known]
    for key in changed:
        if key[1] == 0:
            known[key] = _MD5_OF_NOTHING
    todo = [key for key in changed if key[1]]
    logger.info("%s: %d files, %d to read", entry.name, len(listed), len(todo))
    with ThreadPoolExecutor(max(1, workers)) as pool:
        hashes = pool.map(lambda key: file_md5(raw_file(entry.root, local, key[0])), todo)
        for done, (key, md5) in enumerate(zip(todo, hashes, strict=True), start=1):
            known[key] = md5
            if done % _PROGRESS_EVERY == 0:
                logger.info("%s: %d of %d files read", entry.name, done, len(todo))
    return pd.DataFrame([(*key, known[key]) for key in listed], columns=list(SOURCE.names))


def _known(previous: pd.DataFrame | None) -> dict[_Listed, str]:
    if previous is None:
        return {}
    keys = zip(previous["path"], previous["bytes"].tolist(), previous["mtime_ns"].tolist(), strict=True)
    return dict(zip(keys, previous["md5"], strict=True))


def _files(root: Path, prefix: str, suffixes: frozenset[str]) -> Iterator[_Listed]:
    """Usable files below `root`, in no order. `os.scandir` knows most of it without another system call."""
    real_root = str(root.resolve())
    folders = [(str(root), prefix)]
    while folders:
        folder, below = folders.pop()
        with os.scandir(folder) as entries:
            for found in entries:
                if found.name.startswith("."):
                    continue
                if found.is_dir():
                    if found.is_symlink():
                        logger.warning("%s is a link to a folder: not followed", found.path)
                    else:
                        folders.append((found.path, f"{below}{found.name}/"))
                elif _is_usable(found, real_root, suffixes):
                    stat = found.stat()
                    yield f"{below}{found.name}", stat.st_size, stat.st_mtime_ns


def _is_usable(found: os.DirEntry[str], real_root: str, suffixes: frozenset[str]) -> bool:
    if os.path.splitext(found.name)[1].lower() not in suffixes or not found.is_file():
        return False
    if found.is_symlink() and not Path(found.path).resolve().is_relative_to(real_root):
        logger.warning("%s links out of the corpus folder: left out", found.path)
        return False
    try:
        found.path.encode("utf-8")
    except UnicodeEncodeError:
        logger.warning("%r is no UTF-8 name and cannot stand in a table: left out; rename it", found.path)
        return False
    return True
