"""A training that failed, in words: its own last error, and the end of its log, where Dagster knows an exit code."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError

from magictalk_core import errors
from magictalk_core.errors import MagicTalkError, TransientError

__all__ = ["told_failures"]

_LINES = 30


@contextmanager
def told_failures(family: str, log: Path) -> Iterator[None]:
    """A failure of the child that logs to `log` becomes one that names its cause; errors that pass stay such."""
    # What an earlier training of the family said is no cause of this one's end.
    log.unlink(missing_ok=True)
    try:
        yield
    # The second is what Ray's client raises.
    except (DagsterPipesExecutionError, RuntimeError) as error:
        lines = _end_of(log)
        kind, text = _cause(lines, error)
        known = getattr(errors, kind, None)
        cause = known(text) if isinstance(known, type) and issubclass(known, MagicTalkError) else None
        if isinstance(cause, TransientError):
            raise cause from error
        said = f"the training of {family} failed: {text}"
        shown = "\n".join(lines) or "nothing was logged"
        raise dg.Failure(
            f"{said}\n\nThe end of {log}:\n{shown}",
            metadata={
                "cause": text,
                "log": dg.MetadataValue.path(log),
                "end of the log": dg.MetadataValue.md(_code(shown)),
            },
            allow_retries=False,
        ) from (cause or error)


def _end_of(log: Path) -> list[str]:
    if not log.is_file():
        return []
    with log.open(encoding="utf-8", errors="replace") as file:
        return [line.rstrip() for line in deque(file, _LINES)]


def _cause(lines: list[str], error: Exception) -> tuple[str, str]:
    """(name of the class, text) that the child logged last; else what its end means."""
    # Imported here: the command brings NumPy and the families' settings.
    from magictalk_core.commands.train import FAILED

    last = re.compile(rf"^{FAILED}: (\w+): (.*)$")
    for line in reversed(lines):
        told = last.match(line)
        if told:
            return told[1], told[2]
    code = re.search(r"code (-?\d+)", str(error))
    if code and int(code[1]) in (-9, 137):
        return "MachineError", "it was killed (signal 9), as a system without free memory does: free some, then go on"
    return "", f"it ended without a word ({' '.join(str(error).split())})"


def _code(text: str) -> str:
    return f"```\n{text.replace('```', '` ` `')}\n```"
