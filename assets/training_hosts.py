"""Trainings in forks of a process that has loaded torch and MLflow already: `magictalk_core.commands.train_host`."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

__all__ = ["run_training"]

_HOST = "magictalk_core.commands.train_host"
_END_S = 20.0

_idle: dict[str, list[subprocess.Popen[bytes]]] = {}
"""Hosts that wait for the next training, by interpreter. They end with this process."""

_lock = threading.Lock()


def run_training(python: str, arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Train as `python -m magictalk_core.commands.train` would; returns its exit code, negative for a signal.

    An interruption is handed on to the training, which is waited for, as Dagster's own client does.
    """
    host = _taken(python)
    request = {"arguments": list(arguments), "environment": dict(environment), "folder": os.getcwd()}
    code = _trained(host, request)
    if host.poll() is None:
        with _lock:
            _idle.setdefault(python, []).append(host)
    return code


def _taken(python: str) -> subprocess.Popen[bytes]:
    """A host that nobody uses."""
    with _lock:
        waiting = _idle.setdefault(python, [])
        while waiting:
            host = waiting.pop()
            if host.poll() is None:
                return host
    return subprocess.Popen([python, "-m", _HOST], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _trained(host: subprocess.Popen[bytes], request: dict[str, Any]) -> int:
    assert host.stdin is not None and host.stdout is not None
    pid = None
    try:
        try:
            host.stdin.write(json.dumps(request).encode() + b"\n")
            host.stdin.flush()
        except BrokenPipeError:
            return _ended(host)
        pid = _answered(host, "pid")
        code = None if pid is None else _answered(host, "code")
    except BaseException:
        if pid is not None:
            # One that has just ended is no reason to lose the interruption, or the host.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            select.select([host.stdout.fileno()], [], [], _END_S)
        _ended(host)
        raise
    # Without an answer the host itself has died, and its training with it.
    return _ended(host) if code is None else code


def _answered(host: subprocess.Popen[bytes], name: str) -> int | None:
    """The next answer; None where the host has ended without one."""
    assert host.stdout is not None
    line = host.stdout.readline()
    return int(json.loads(line)[name]) if line else None


def _ended(host: subprocess.Popen[bytes]) -> int:
    """Close the input of a host, upon which it ends its training and itself; its exit code."""
    for pipe in (host.stdin, host.stdout):
        # What was not sent to one that is gone stays unsent.
        with suppress(BrokenPipeError):
            pipe.close()  # type: ignore[union-attr]
    try:
        return host.wait(_END_S)
    except subprocess.TimeoutExpired:
        host.kill()
        return host.wait()


@atexit.register
def _end_all() -> None:
    for hosts in _idle.values():
        for host in hosts:
            _ended(host)
