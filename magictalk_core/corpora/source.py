"""The listing of a corpus's raw files, with the hash of each."""

from __future__ import annotations

import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.kinds import is_unused, kind_of
from magictalk_core.corpora.raw_files import OTHER_SUFFIX, RawFile, log_left_out, raw_file, scan_corpus
from magictalk_core.errors import PermanentError
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.schema import SOURCE

__all__ = ["list_source"]

logger = logging.getLogger("magictalk.corpora")

_PROGRESS_EVERY = 1000
_MD5_OF_NOTHING = hashlib.md5(b"").hexdigest()


def list_source(entry: CorpusEntry, local: Path, previous: pd.DataFrame | None, workers: int) -> pd.DataFrame:
    """SOURCE rows of every file of the kind's suffixes below the root and below `local`, sorted by path (posix).

    What is left out, and how links are read: `corpora/raw_files.py`. The md5 of `previous` is taken over where size and
    modification time are unchanged; everything else is read, `workers` files at a time.
    """
    if not entry.root.is_dir():
        raise PermanentError(f"corpus `{entry.name}`: its folder {entry.root} is not there: is the disk mounted?")
    listed, left_out = scan_corpus(entry.root, local, kind_of(entry).suffixes)
    log_left_out(entry.name, (one for one in left_out if one.why != OTHER_SUFFIX or is_unused(entry, one.path)))
    known = _known(previous)
    changed = [key for key in listed if key not in known]
    for key in changed:
        if key.bytes == 0:
            known[key] = _MD5_OF_NOTHING
    todo = [key for key in changed if key.bytes]
    logger.info("%s: %d files, %d to read", entry.name, len(listed), len(todo))
    with ThreadPoolExecutor(max(1, workers)) as pool:
        hashes = pool.map(lambda key: file_md5(raw_file(entry.root, local, key.path)), todo)
        for done, (key, md5) in enumerate(zip(todo, hashes, strict=True), start=1):
            known[key] = md5
            if done % _PROGRESS_EVERY == 0:
                logger.info("%s: %d of %d files read", entry.name, done, len(todo))
    return pd.DataFrame([(*key, known[key]) for key in listed], columns=list(SOURCE.names))


def _known(previous: pd.DataFrame | None) -> dict[RawFile, str]:
    if previous is None:
        return {}
    keys = zip(previous["path"], previous["bytes"].tolist(), previous["mtime_ns"].tolist(), strict=True)
    return dict(zip(map(RawFile._make, keys), previous["md5"], strict=True))
