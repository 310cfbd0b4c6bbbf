"""The text lists that corpora are published as: where they lie, their rows, and what is wrong with them, by line."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from magictalk_core.corpora.findings import Problem
from magictalk_core.corpora.raw_files import LOCAL, VIDEO_SUFFIXES

__all__ = [
    "Row",
    "absent_lists",
    "choose_lists",
    "read_rows",
    "videos_by_stem",
    "youtube_address",
]


@dataclass(frozen=True)
class Row:
    """One row with text: `where` is `file:line`, `cells` are split at any white space (and commas, if asked for)."""

    where: str
    cells: tuple[str, ...]


def _in_order(paths: Iterable[str]) -> list[str]:
    """The user's own folder before fetched files, the shallowest first, then by name."""
    return sorted(paths, key=lambda path: (path.startswith(LOCAL), path.count("/"), path))


def choose_lists(paths: Iterable[str], wanted: Iterable[str]) -> tuple[dict[str, str], list[Problem]]:
    """File name -> path of the list that is read, for those of `wanted` that lie anywhere in the corpus folder.

    Of several copies the shallowest is read, and the others are named.
    """
    names, chosen, problems = set(wanted), dict[str, str](), []
    for path in _in_order(path for path in paths if not path.startswith(LOCAL)):
        name = path.rpartition("/")[2]
        if name not in names:
            continue
        if name in chosen:
            problems.append(Problem("second_copy", path, f"not read: {chosen[name]} is"))
        else:
            chosen[name] = path
    return chosen, problems


def videos_by_stem(paths: Iterable[str]) -> dict[str, str]:
    """File name without suffix -> path of the video, the first in order where several have that name."""
    videos = (path for path in paths if PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES)
    found: dict[str, str] = {}
    for path in _in_order(videos):
        found.setdefault(PurePosixPath(path).stem, path)
    return found


def read_rows(root: Path, path: str, commas: bool = False) -> tuple[list[Row], list[Problem]]:
    """The rows of a list file in UTF-8, empty ones left out, and what is odd about the file itself.

    Byte order mark, missing final newline, blanks at the end of a row and bytes that are no UTF-8 are named and read
    over. A file that cannot be read is a problem too, with no rows.
    """
    try:
        data = (root / path).read_bytes()
    except OSError as error:
        return [], [Problem("unreadable_list", path, f"cannot be read: {error.strerror}")]
    problems = list(_oddities(path, data))
    rows = []
    for number, line in enumerate(_text(data).split("\n"), start=1):
        where, text = f"{path}:{number}", line.removesuffix("\r")
        cells = tuple((text.replace(",", " ") if commas else text).split())
        if not cells:
            continue
        if text != text.rstrip():
            problems.append(Problem("trailing_blank", where, f"blank at the end of the row of {cells[0]}: ignored"))
        rows.append(Row(where, cells))
    return rows, problems


def _text(data: bytes) -> str:
    return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")


def _oddities(path: str, data: bytes) -> Iterator[Problem]:
    if data.startswith(codecs.BOM_UTF8):
        first = (_text(data).split() or ["nothing"])[0]
        yield Problem("bom", f"{path}:1", f"UTF-8 byte order mark before `{first}`: removed")
    if data and not data.endswith(b"\n"):
        yield Problem("no_final_newline", f"{path}:{data.count(10) + 1}", "no newline after the last row")
    if "\ufffd" in _text(data):
        yield Problem("no_utf8", path, "bytes that are no UTF-8: replaced")


def youtube_address(video_id: str) -> str:
    """The canonical address of a YouTube video."""
    return f"https://www.youtube.com/watch?v={video_id}"


def absent_lists(wanted: Iterable[str], chosen: Mapping[str, str]) -> list[Problem]:
    """A problem for each of `wanted` that is not there."""
    return [
        Problem("no_list", name, "this list is not below the corpus folder") for name in wanted if name not in chosen
    ]
