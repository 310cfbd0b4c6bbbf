"""The raw files of a corpus: what is one, wherever listing, check, fetching and unpacking look.

Two places count: the folder that the user named, which is only ever read, and the corpus's `local` folder in the
workspace, where unpacked archives and fetched videos lie. Paths of the second have the prefix `@local/`.

One rule for links: a link to a regular file is that file, wherever it lies, since large corpora are spread over disks.
A link that leads nowhere or in a circle is no file and is named; a link to a folder is not followed, so that no circle
of folders is ever walked, and is named too. Hidden files and folders are left out: archives from macOS are full of
`._001.mp4`.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "AUDIO_SUFFIXES",
    "HIDDEN",
    "LIST_SUFFIXES",
    "LOCAL",
    "MEDIA_SUFFIXES",
    "OTHER_SUFFIX",
    "VIDEO_SUFFIXES",
    "LeftOut",
    "RawFile",
    "log_left_out",
    "raw_file",
    "scan_corpus",
    "scan_folder",
]

logger = logging.getLogger("magictalk.corpora")

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".m4v", ".mts", ".m2ts", ".ts", ".wmv", ".asf", ".flv",
     ".f4v", ".3gp", ".3g2", ".mxf", ".ogv", ".vob")
)  # fmt: skip
AUDIO_SUFFIXES = frozenset((".m4a", ".wav"))
MEDIA_SUFFIXES = VIDEO_SUFFIXES | AUDIO_SUFFIXES
LIST_SUFFIXES = frozenset((".txt",))

LOCAL = "@local/"

HIDDEN, OTHER_SUFFIX = "hidden", "other_suffix"

# Any other failure to follow a link is trouble of the machine, not of the link.
_LEADS_NOWHERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES))


class RawFile(NamedTuple):
    """A file by its path below the scanned folder (posix, with the prefix); size and time of a link's target."""

    path: str
    bytes: int
    mtime_ns: int


class LeftOut(NamedTuple):
    """Something that looks like a file and does not count. `why`: broken_link, linked_folder, odd_link, no_utf8, hidden
    or, where suffixes are asked for, other_suffix."""

    path: str
    why: str
    what: str


def raw_file(root: Path, local: Path, path: str) -> Path:
    """Where the file of a SOURCE path lies."""
    return local / path.removeprefix(LOCAL) if path.startswith(LOCAL) else root / path


def scan_folder(
    root: Path, prefix: str = "", suffixes: frozenset[str] | None = None
) -> tuple[list[RawFile], list[LeftOut]]:
    """The files below `root` with one of the suffixes (None: all), and what does not count, both in no order."""
    files: list[RawFile] = []
    left_out: list[LeftOut] = []
    folders = [(str(root), prefix)]
    while folders:
        folder, below = folders.pop()
        # `os.scandir` knows most of it without another system call.
        with os.scandir(folder) as entries:
            for found in entries:
                path = f"{below}{found.name}"
                if found.name.startswith("."):
                    left_out.append(LeftOut(_shown(path), HIDDEN, "hidden files and folders are not looked at"))
                elif found.is_dir(follow_symlinks=False):
                    folders.append((found.path, f"{path}/"))
                elif found.is_symlink() and (fault := _fault_of_link(found.path)):
                    left_out.append(LeftOut(_shown(path), *fault))
                elif suffixes is not None and os.path.splitext(found.name)[1].lower() not in suffixes:
                    left_out.append(LeftOut(_shown(path), OTHER_SUFFIX, "no file of this kind is read"))
                elif not _is_utf8(path):
                    left_out.append(
                        LeftOut(_shown(path), "no_utf8", "no UTF-8 name, cannot stand in a table: rename it")
                    )
                elif found.is_file():
                    status = found.stat()
                    files.append(RawFile(path, status.st_size, status.st_mtime_ns))
    return files, left_out


def scan_corpus(root: Path, local: Path, suffixes: frozenset[str] | None = None) -> tuple[list[RawFile], list[LeftOut]]:
    """`scan_folder` of both places, each sorted by path; `local` need not be there."""
    files, left_out = scan_folder(root, "", suffixes)
    if local.is_dir():
        brought, more = scan_folder(local, LOCAL, suffixes)
        files, left_out = files + brought, left_out + more
    return sorted(files), sorted(left_out)


def _fault_of_link(path: str) -> tuple[str, str] | None:
    """Why the link at `path` does not count as a file, or None."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno not in _LEADS_NOWHERE:
            raise
        return "broken_link", f"links to {_shown(os.readlink(path))}: {error.strerror}; mount the disk or mend the link"
    if stat.S_ISDIR(mode):
        return "linked_folder", f"links to the folder {_shown(os.readlink(path))}: not followed; link its files instead"
    return None if stat.S_ISREG(mode) else ("odd_link", "links to something that is no regular file")


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _shown(path: str) -> str:
    """The path as text that every table and terminal takes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def log_left_out(corpus: str, left_out: Iterable[LeftOut]) -> None:
    """One warning for each reason: how many, and the first. What is hidden is so for a reason."""
    by_reason: dict[str, list[LeftOut]] = {}
    for one in sorted(left_out):
        if one.why != HIDDEN:
            by_reason.setdefault(one.why, []).append(one)
    for why, group in by_reason.items():
        first = f"first {group[0].path}: {group[0].what}"
        logger.warning("%s: %d left out (%s), %s", corpus, len(group), why.replace("_", " "), first)
