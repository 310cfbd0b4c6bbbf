"""Markdown as cards, pages and Dagster's metadata show it, with every name from the data escaped.

Names of speakers, labels and licences come from folders and CSV files of strangers: a pipe must not open a new cell, a
line break no new row, and HTML must stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["Markdown", "code", "escaped", "markdown_table"]

_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SYNTAX = re.compile(r"[\\`*_\[\]|~#$!]")
_BREAKS = re.compile(r"\s*[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+\s*")


class Markdown(str):
    """Text that is Markdown already and goes through as it stands."""


def escaped(value: object) -> str:
    """`value` as text in one line that no reader of Markdown takes for more than text; `Markdown` is left alone."""
    if isinstance(value, Markdown):
        return value
    if isinstance(value, int | float):
        return str(value)
    text = "".join(_HTML.get(letter, letter) for letter in _one_line(value))
    return _SYNTAX.sub(r"\\\g<0>", text)


def code(value: object) -> Markdown:
    """`value` as inline code in one line, also within a table."""
    text = _one_line(value)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    # A table is cut at its pipes before code is looked for.
    inner = text.replace("|", r"\|")
    gap = " " if not inner or inner.startswith("`") or inner.endswith("`") else ""
    return Markdown(f"{fence}{gap}{inner}{gap}{fence}")


def _one_line(value: object) -> str:
    return _BREAKS.sub(" ", str(value))


def markdown_table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """The lines of a table; every cell is escaped."""
    head = list(header)
    lines = [f"| {' | '.join(map(escaped, head))} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(map(escaped, row))} |" for row in rows)]
