"""Text tables as apps and spreadsheets write them: commas, semicolons, tabs; decimal commas; UTF-8 and UTF-16."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from magictalk_core.errors import UserError
from magictalk_core.storage.text import decoded

__all__ = ["TextTable", "cell_number", "read_text_table"]

_DELIMITERS = (",", ";", "\t", "|")
_UNKNOWN = frozenset({"", "nan", "null", "none", "na", "n/a", "#n/a", "-"})
"""Cells that say that there is no value, in lower case."""


@dataclass(frozen=True)
class TextTable:
    """`header` without blanks around its names, `rows` of cells, and the line of the file that every row ends on."""

    header: list[str]
    rows: list[list[str]]
    lines: list[int]


def read_text_table(path: Path) -> TextTable:
    """A text table with a header, its delimiter found in the header. Empty lines and columns without name or value at
    the end are left out. Raises `UserError` for text that is none, and for rows longer than the header."""
    text = _text(path)
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep="):  # a spreadsheet's note on the delimiter
        text, first = rest, rest.partition("\n")[0]
    skipped = 1 if text is rest else 0
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows, lines = [], []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(reader.line_num + skipped)
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not a table of text: {error}") from error
    if not rows:
        raise UserError(f"{path}: empty")
    header = [name.strip() for name in rows[0]]
    while header and not header[-1]:
        header.pop()
    return TextTable(
        header, [_fitted(path, line, row, header) for line, row in zip(lines[1:], rows[1:], strict=True)], lines[1:]
    )


def _text(path: Path) -> str:
    try:
        return decoded(path.read_bytes())
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: no text in {error.encoding} at byte {error.start}: save it as CSV in UTF-8"
        ) from error


def _fitted(path: Path, line: int, row: list[str], header: list[str]) -> list[str]:
    """`row` without empty cells behind the header's last column."""
    while len(row) > len(header) and not row[-1].strip():
        row.pop()
    if len(row) > len(header):
        hint = "decimal commas need another sign between cells, like ;"
        raise UserError(f"{path}, line {line}: {len(row)} cells under {len(header)} headings: {hint}")
    return row


def cell_number(cell: str) -> float:
    """The number in a cell, with a decimal point or comma, a hundredth of one that `%` follows; NaN for an empty cell.
    Raises `ValueError` otherwise."""
    text = cell.strip()
    if text.lower() in _UNKNOWN:
        return math.nan
    unit = 0.01 if text.endswith("%") else 1.0
    text = text.removesuffix("%").rstrip()
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value) or "_" in text:
        raise ValueError(f"could not convert {cell.strip()[:40]!r} to a number")
    return value * unit
