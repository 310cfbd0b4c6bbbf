"""md5 of files that are too large to be read at every look: read again only when size, time or inode changed.

What DVC keeps for the same reason. Files of a workspace are replaced by rename, never written in place, so a changed
file has another inode. A flipped bit on disk changes none of the three: `magictalk audit` reads everything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

from magictalk_core.errors import MachineError
from magictalk_core.storage.hashes import file_md5
from magictalk_core.storage.machine import writing

__all__ = ["RememberedHashes"]

_READERS = 4
_WAIT_S = 60.0
_ASKED_AT_ONCE = 500
"""Paths in one question: SQLite takes 999 values at least."""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER, md5 TEXT)"
)

Look = tuple[int, int, int]


def _look(path: Path) -> Look:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


class RememberedHashes:
    """The memory in one SQLite file; processes may share it. Lost, it costs one reading of the files."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def md5_of(self, files: Sequence[Path]) -> dict[Path, str]:
        """md5 of each file, which must be there."""
        looks = {path: _look(path) for path in files}
        known = self._known([str(path) for path in files])
        found = {path: md5 for path, look in looks.items() if (md5 := known.get((str(path), *look))) is not None}
        unknown = [path for path in files if path not in found]
        if unknown:
            with ThreadPoolExecutor(_READERS) as readers:
                read = dict(zip(unknown, readers.map(file_md5, unknown), strict=True))
            # Of a file that changed while it was read nothing is remembered.
            lasting = {path: (looks[path], md5) for path, md5 in read.items() if _look(path) == looks[path]}
            # Where nothing can be written, as in a home that is only shown, every look reads.
            with suppress(MachineError, sqlite3.OperationalError):
                self._write(lasting)
            found |= read
        return found

    def note(self, md5s: Mapping[Path, str]) -> None:
        """What its writer knows already of files that it has just written."""
        self._write({path: (_look(path), md5) for path, md5 in md5s.items()})

    def _known(self, paths: Sequence[str]) -> dict[tuple[str, int, int, int], str]:
        if not paths or not self._file.is_file():
            return {}
        rows: list[tuple[str, int, int, int, str]] = []
        with closing(sqlite3.connect(self._file, timeout=_WAIT_S)) as database:
            database.execute(_TABLE)
            for start in range(0, len(paths), _ASKED_AT_ONCE):
                some = paths[start : start + _ASKED_AT_ONCE]
                places = ",".join("?" * len(some))
                asked = f"SELECT path, size, mtime_ns, inode, md5 FROM files WHERE path IN ({places})"
                rows += database.execute(asked, some).fetchall()
        return {(path, size, mtime, inode): md5 for path, size, mtime, inode, md5 in rows}

    def _write(self, entries: Mapping[Path, tuple[Look, str]]) -> None:
        with writing(self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._file, timeout=_WAIT_S)) as database, database:
                database.execute(_TABLE)
                rows = [(str(path), *look, md5) for path, (look, md5) in entries.items()]
                database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)
