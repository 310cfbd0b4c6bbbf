"""What commands say on the terminal: results, progress and log lines. Errors are those of `one_line`."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipelines.one_line import plain

__all__ = [
    "progress",
    "set_up_logging",
    "show_facts",
    "show_rows",
]

_UNFOLDED = 100_000


def show_facts(facts: Mapping[str, Any], as_json: bool) -> None:
    """A single result, one fact a line, without those that have nothing to say. As JSON it is a list of one, as every
    other result is a list."""
    if as_json:
        typer.echo(json.dumps([facts], indent=1, default=str))
        return
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        text = "; ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        if value is not None and text:
            typer.echo(f"{name:<{width}}  {plain(text)}")


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """A list as a table where the terminal is wide enough; else one fact a line, so that paths stay in one piece."""
    if as_json:
        typer.echo(json.dumps(rows, indent=1, default=str))
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(
            *("" if row[column] is None else plain(str(row[column])).replace("[", r"\[") for column in columns)
        )
    unlimited = Console(width=_UNFOLDED)
    width = Measurement.get(unlimited, unlimited.options, table).maximum
    if width <= _columns():
        Console(width=width).print(table, highlight=False)
        return
    for number, row in enumerate(rows):
        if number:
            typer.echo()
        show_facts({column: row[column] for column in columns}, as_json=False)


def _columns() -> int:
    """Width of the terminal; without limit where a file or another program reads."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return _UNFOLDED
    return shutil.get_terminal_size().columns


@contextmanager
def progress(what: str) -> Iterator[Callable[[int], None]]:
    """A counter on the terminal, if there is one."""
    columns = (TextColumn("{task.description} {task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done: bar.update(task, completed=done)


class _PlainFormatter(logging.Formatter):
    """The message as the library wrote it: Dagster's capture puts job, run and step in front of captured records."""

    def format(self, record: logging.LogRecord) -> str:
        captured = getattr(record, "dagster_meta", None)
        return str(captured["orig_message"]) if captured else super().format(record)


class _TerminalHandler(logging.StreamHandler[TextIO]):
    """Writes to the standard error of the moment, which progress bars and tests replace."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def set_up_logging(verbose: bool) -> None:
    """Plain lines on standard error: warnings of all libraries, and what ours does."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    root = logging.getLogger()
    if not any(isinstance(handler, _TerminalHandler) for handler in root.handlers):
        handler = _TerminalHandler()
        handler.setFormatter(_PlainFormatter("%(message)s"))
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("magictalk").setLevel(logging.DEBUG if verbose else logging.INFO)
