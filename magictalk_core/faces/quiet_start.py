"""MediaPipe's own log lines, which it writes past Python to standard error while it starts, kept from the terminal."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["native_log_lines"]

_logger = logging.getLogger("magictalk.native")
_STDERR = 2


@contextmanager
def native_log_lines() -> Iterator[None]:
    """What native code writes to standard error in the block goes to the log, at debug level.

    Python's exceptions of the block leave it as always, and what was written is shown with them: it may be the reason.
    """
    sys.stderr.flush()
    terminal = os.dup(_STDERR)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            _give_back(terminal)
            caught.seek(0)
            os.write(_STDERR, caught.read())
            raise
        _give_back(terminal)
        caught.seek(0)
        for line in caught.read().decode(errors="replace").splitlines():
            _logger.debug("%s", line)


def _give_back(terminal: int) -> None:
    os.dup2(terminal, _STDERR)
    os.close(terminal)
