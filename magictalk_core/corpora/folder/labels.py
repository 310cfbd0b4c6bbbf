"""The labels of a folder of videos: a CSV file as spreadsheets and scripts write them.

It has a header and the columns `path` (relative to the corpus folder) and any of `speaker`, `emotion`, `level`,
`split`, `licence`. Empty cells mean nothing is known. Commas, semicolons, tabs and bars separate, as the header shows;
UTF-8 with or without a mark and UTF-16 are read. Names are compared in composed form, since macOS stores accents
decomposed.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from magictalk_core.corpora.findings import Problem
from magictalk_core.errors import UserError
from magictalk_core.storage.text import decoded
from magictalk_core.vocabulary.clips import Split
from magictalk_core.vocabulary.emotions import EMOTIONS, emotion_named

__all__ = ["Labels", "LabelsFile", "read_labels"]

COLUMNS = ("path", "speaker", "emotion", "level", "split", "licence")
_SEPARATORS = (",", ";", "\t", "|")
_UNKNOWN = frozenset(("", "nan", "n/a", "na", "null"))
"""What a spreadsheet or a data frame writes where a number or a choice is not known."""
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How .xlsx, .ods and .xls begin."""
_LEVEL = re.compile(r"(?:level[ _]?)?([123])(?:[.,]0+)?")


@dataclass(frozen=True)
class Labels:
    """One row of the labels file; None where the cell is empty. `line` is for messages."""

    line: int
    speaker: str | None = None
    emotion: str | None = None
    level: int | None = None
    split: Split | None = None
    licence: str | None = None


@dataclass(frozen=True)
class LabelsFile:
    """Labels by the path of a listed video, and the rows that name a video that is not here."""

    rows: Mapping[str, Labels]
    absent: tuple[Problem, ...] = ()


class _RowError(Exception):
    """What is wrong with a row."""


class _Videos:
    """The listed videos, found by what people write for their names."""

    def __init__(self, listed: Iterable[str], root: Path) -> None:
        self._root = root
        self._exact = set(listed)
        self._composed: dict[str, list[str]] = {}
        self._plain: dict[str, str] = {}
        for path in sorted(self._exact):
            self._composed.setdefault(_composed(path), []).append(path)
            self._plain.setdefault(_composed(path).casefold(), path)

    def find(self, cell: str) -> str | None:
        """The video that a cell names, or None. Raises `_RowError` where two differ in the form of accents alone."""
        for name in self._spellings(cell):
            if name in self._exact:
                return name
            found = self._composed.get(_composed(name), [])
            if len(found) > 1:
                raise _RowError(f"`{name}` is the name of {len(found)} videos whose accents differ in form: rename one")
            if found:
                return found[0]
        return None

    def _spellings(self, cell: str) -> Iterator[str]:
        # Spaces at the ends may belong to a file name.
        yield cell
        posix = PurePosixPath(cell.strip())
        yield posix.as_posix()
        if posix.is_absolute() and posix.is_relative_to(self._root):
            yield posix.relative_to(self._root).as_posix()
        yield PurePosixPath(cell.strip().replace("\\", "/")).as_posix()

    def like(self, cell: str) -> str | None:
        """A video whose name differs in upper and lower case alone."""
        return self._plain.get(_composed(PurePosixPath(cell.strip()).as_posix()).casefold())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def read_labels(file: Path, listed: set[str], root: Path) -> LabelsFile:
    """Labels of the `listed` videos below `root`.

    Raises `UserError` for unknown columns, and with every line for unknown values; also where no row names a video.
    """
    try:
        raw = file.read_bytes()
        if raw.startswith(_WORKBOOKS):
            raise UserError(
                f"{file} is a workbook of a spreadsheet program: save it as `CSV UTF-8`, and name that file"
            )
        rows = list(_rows(decoded(raw)))
    except OSError as error:
        raise UserError(f"cannot read the labels file {file}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} is no CSV file in UTF-8 or UTF-16: {error}: save it as `CSV UTF-8`") from error
    header = _header(file, rows[0] if rows else (1, []))
    return _collected(file, header, rows[1:], _Videos(listed, root))


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of the rows that hold anything."""
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    said = re.fullmatch(r"\s*\"?sep=(.)\"?[,;\t]*\s*", first)  # Excel's own line before the header
    separator = said[1] if said else _separator(first)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    for cells in reader:
        if said and reader.line_num <= lines.index(first) + 1:
            continue
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _separator(header: str) -> str:
    """The one that makes `path` a column of the header; of several the one with most columns."""

    def columns(separator: str) -> int:
        try:
            names = [_column(cell) for cell in next(csv.reader([header], delimiter=separator))]
        except (csv.Error, StopIteration):
            return 0
        return len(names) if "path" in names else 0

    return max(_SEPARATORS, key=columns)


def _column(cell: str) -> str:
    return cell.strip().casefold()


def _header(file: Path, row: tuple[int, list[str]]) -> list[str]:
    line, cells = row
    names = [_column(cell) for cell in cells]
    while names and not names[-1]:
        names.pop()
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or "path" not in names or len(set(names)) != len(names):
        raise UserError(
            f"{file}:{line}: expected a header with `path` and any of {', '.join(COLUMNS[1:])}, each once; found "
            f"{', '.join(names) or 'nothing'}" + (f" (unknown: {', '.join(unknown)})" if unknown else "")
        )
    return names


def _collected(file: Path, header: list[str], rows: list[tuple[int, list[str]]], videos: _Videos) -> LabelsFile:
    labels: dict[str, Labels] = {}
    absent: list[Problem] = []
    wrong: dict[str, list[int]] = {}
    for line, cells in rows:
        try:
            row = _cells(header, cells)
            path = videos.find(row["path"])
            if path is None:
                absent.append(Problem("absent_video", f"{file}:{line}", _absence(row["path"], videos)))
                continue
            if path in labels:
                raise _RowError(f"`{path}` has labels already, in line {labels[path].line}")
            labels[path] = _labels(line, row)
        except _RowError as error:
            wrong.setdefault(str(error), []).append(line)
    if wrong:
        raise UserError("; ".join(_told(file, lines, what) for what, lines in wrong.items()))
    if absent and not labels:
        raise UserError(f"{absent[0].where}: {absent[0].what}; no row names a video below the corpus folder")
    return LabelsFile(labels, tuple(absent))


def _told(file: Path, lines: list[int], what: str) -> str:
    more = f" (and in line {', '.join(map(str, lines[1:]))})" if len(lines) > 1 else ""
    return f"{file}:{lines[0]}: {what}{more}"


def _absence(cell: str, videos: _Videos) -> str:
    like = videos.like(cell)
    hint = f"; there is `{like}`" if like else ""
    return f"no video `{cell.strip()}` below the corpus folder: paths are relative to it{hint}"


def _cells(header: list[str], cells: list[str]) -> dict[str, str]:
    while len(cells) > len(header) and not cells[-1].strip():
        cells = cells[:-1]
    if len(cells) != len(header):
        raise _RowError(f"expected {len(header)} cells, found {len(cells)}")
    return {name: cell if name == "path" else cell.strip() for name, cell in zip(header, cells, strict=True)}


def _labels(line: int, row: Mapping[str, str]) -> Labels:
    return Labels(
        line,
        # One person, however the accents of the name are typed: else she is in two splits.
        _composed(row.get("speaker", "")) or None,
        _emotion(row.get("emotion", "")),
        _level(row.get("level", "")),
        _split(row.get("split", "")),
        row.get("licence") or None,
    )


def _emotion(text: str) -> str | None:
    name = emotion_named(text)
    if name in _UNKNOWN:
        return None
    if name not in EMOTIONS:
        raise _RowError(f"emotion `{text}` is unknown: expected one of {', '.join(EMOTIONS)}")
    return name


def _level(text: str) -> int | None:
    if text.casefold() in _UNKNOWN:
        return None
    found = _LEVEL.fullmatch(text.casefold())
    if found is None:
        raise _RowError(f"level `{text}` is unknown: expected 1, 2 or 3")
    return int(found[1])


def _split(text: str) -> Split | None:
    if text.casefold() in _UNKNOWN:
        return None
    if text.casefold() not in tuple(Split):
        raise _RowError(f"split `{text}` is unknown: expected one of {', '.join(Split)}")
    return Split(text.casefold())
