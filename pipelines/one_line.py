"""Every error of a command as one line with its exit code; what nobody foresaw leaves its traceback in a file.

Exit codes: 0 done; 2 the user's error; 1 trouble of the data, of the machine, or ours.
"""

from __future__ import annotations

import errno
import logging
import os
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from magictalk_core.errors import MagicTalkError, UserError
from magictalk_core.workspace import Workspace
from pipelines.machine import machine_error

__all__ = ["OneLineErrors", "plain", "remember_workspace", "write_traceback"]

_workspace: ContextVar[Workspace | None] = ContextVar("workspace of the running command", default=None)

_BAD_PATH = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL}
"""What the system says of a path that is not what it should be."""


class OneLineErrors(TyperGroup):
    """The one place where exceptions of commands become one line on the terminal and an exit code."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        given = tuple(args)
        with _told_in_one_line(given, verbose=False):
            context = super().make_context(info_name, args, parent, **extra)
        context.obj = given
        return context

    def invoke(self, ctx: Any) -> Any:
        with _told_in_one_line(ctx.obj, bool(ctx.params.get("verbose"))):
            return super().invoke(ctx)


@contextmanager
def _told_in_one_line(given: tuple[str, ...], verbose: bool) -> Iterator[None]:
    """Exceptions of the block, of a command that was given these words."""
    try:
        yield
    except (typer.Exit, typer.Abort, BrokenPipeError):
        raise
    except typer.TyperException as error:
        context: Any = getattr(error, "ctx", None)
        if context is None or error.message == context.get_help():
            raise  # not an error: the help of a command that was given nothing
        typer.echo(
            f"magictalk: {_one_line(error.format_message()).rstrip('.')}: see {context.command_path} --help", err=True
        )
        raise typer.Exit(2) from error
    except Exception as error:
        known = _known(error, given)
        if known is None:
            log = write_traceback(traceback.format_exc(), _workspace.get())
            known = MagicTalkError(f"unexpected {type(error).__name__}: {error}; traceback: {log}")
        if verbose:
            typer.echo(traceback.format_exc(), err=True)
        typer.echo(f"magictalk: {_one_line(str(known))}", err=True)
        raise typer.Exit(2 if isinstance(known, UserError) else 1) from error


def _known(error: Exception, given: tuple[str, ...]) -> MagicTalkError | None:
    """What the error says as one of ours; None for what nobody foresaw."""
    if isinstance(error, MagicTalkError):
        return error
    if isinstance(error, OSError) and error.errno in _BAD_PATH and _is_given(error.filename, given):
        return UserError(f"{error.filename}: {error.strerror}")
    if isinstance(error, UnicodeEncodeError) and not error.object.isprintable():
        return UserError(f"{error.object}: holds bytes that are no text in UTF-8: choose another name")
    return machine_error(error)


def _is_given(path: Any, given: tuple[str, ...]) -> bool:
    """Whether the user named this path, in whatever way."""
    return path is not None and os.path.realpath(os.fspath(path)) in {os.path.realpath(word) for word in given}


def plain(text: str) -> str:
    """The text as a terminal can show it in one line: line breaks, control characters and broken ones as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _one_line(text: str) -> str:
    """A message of several lines in one."""
    return plain(" ".join(line.strip() for line in text.splitlines()))


def remember_workspace(workspace: Workspace) -> None:
    """Where the running command's traceback would go."""
    _workspace.set(workspace)


def write_traceback(text: str, workspace: Workspace | None) -> Path | str:
    """Keep a traceback in the workspace's logs, or in the system's folder of temporary files when that fails.

    Where neither can be written to, the words that say so.
    """
    name = f"magictalk-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 1_000_000:06d}.log"
    try:
        if workspace is not None and workspace.home.is_dir():
            workspace.logs.mkdir(exist_ok=True)
            return _written(workspace.logs / name, text)
    except OSError:
        logging.getLogger("magictalk").debug("no log can be written in %s", workspace)
    try:
        return _written(Path(tempfile.gettempdir()) / name, text)
    except OSError:
        return "not kept, no folder can be written to; magictalk --verbose shows it (MAGICTALK_HOME, TMPDIR choose one)"


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path
