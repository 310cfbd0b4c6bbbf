"""A corpus check as text for people: short tables, remarks by kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from magictalk_core.corpora.check import CorpusCheck, Found
from magictalk_core.corpora.findings import Problem

__all__ = ["print_check"]

_MIN_WIDTH = 110
_UNFOLDED = 100_000
_MAX_COLUMNS = 13
_MAX_ROWS = 60
_MAX_REMARKS = 25


def print_check(check: CorpusCheck, console: Console | None = None) -> None:
    """Print facts, tables, files, remarks and funnel. Long tables and lists are cut, and say so: JSON is complete."""
    console = console or _unfolded_console()
    _line(console, f"{check.corpus} ({check.kind}) at {check.root}")
    _line(console, "\nLISTED AND FOUND")
    for name, value in check.facts.items():
        _line(console, f"  {_words(name)}: {_value(value)}")
    _line(console, f"  files: {_files(check.found)}")
    for title, rows in check.tables.items():
        _line(console, f"\n{title.upper()}")
        _table(console, rows)
    _line(console, f"\nREMARKS: {len(check.problems) or 'none'}")
    _remarks(console, check.problems)
    if not check.funnel:
        _line(console, "\nFUNNEL: not indexed yet; next: magictalk run")
        return
    _line(console, f"\nFUNNEL ({check.funnel_from} table)")
    _table(console, [vars(row) for row in check.funnel])


def _unfolded_console() -> Console:
    """About as wide as the terminal; without limit where a file or a program reads, which wants one row a line."""
    terminal = Console()
    return Console(width=max(terminal.width, _MIN_WIDTH) if terminal.is_terminal else _UNFOLDED)


def _line(console: Console, text: str) -> None:
    # Names of files are text, not markup.
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {n}" for key, n in value.items()) or "none"
    if isinstance(value, list | tuple):
        return f"{len(value)}: {', '.join(map(str, value))}" if value else "none"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _files(found: Found) -> str:
    text = f"{found.files:,} ({found.videos:,} videos of {_size(found.video_bytes)}"
    text += f", {found.audio_files:,} sounds of {_size(found.audio_bytes)})"
    if found.empty_media:
        text += f", {found.empty_media:,} of them empty"
    return text + (f", {found.local_files:,} fetched or unpacked here" if found.local_files else "")


def _size(n: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}"
        n /= 1000
    return f"{n:,.1f} GB"


def _table(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    if rows and len(rows[0]) > _MAX_COLUMNS:
        rows = _turned(rows)
    for column in rows[0] if rows else ():
        is_number = all(isinstance(row[column], int | float | None) for row in rows)
        table.add_column(_words(column), justify="right" if is_number else "left", overflow="fold")
    for row in rows[:_MAX_ROWS]:
        table.add_row(*(escape(_value(value)) for value in row.values()))
    console.print(table, highlight=False)
    if len(rows) > _MAX_ROWS:
        _line(console, f"... and {len(rows) - _MAX_ROWS:,} more rows: see --json")


def _turned(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The table with its columns as rows."""
    first, *others = rows[0]
    return [{first: _words(name)} | {str(row[first]): row[name] for row in rows} for name in others]


def _remarks(console: Console, problems: Iterable[Problem]) -> None:
    by_kind: dict[str, list[Problem]] = {}
    for problem in problems:
        by_kind.setdefault(problem.kind, []).append(problem)
    for kind, group in by_kind.items():
        _line(console, f"  {_words(kind)} ({len(group)})")
        for problem in group[:_MAX_REMARKS]:
            _line(console, f"    {problem.where}: {problem.what}")
        if len(group) > _MAX_REMARKS:
            _line(console, f"    ... and {len(group) - _MAX_REMARKS:,} more: see --json")
