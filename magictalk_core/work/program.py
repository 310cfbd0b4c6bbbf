"""A program of others, run apart: own folder, own environment, own session, with limits on time, memory and files.

What `isolation.py` is for functions of ours. The program is started without a shell and sees no variable of ours but
those that are given; whatever it does to itself is a `ProgramEnd`. Its processes are counted and killed together, so a
child that outlives it does not stay.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from magictalk_core.errors import MachineError
from magictalk_core.storage.machine import machine_trouble, writing

__all__ = ["PASSED_ON", "ProgramEnd", "ProgramLimits", "program_environment", "run_program"]

PASSED_ON = (
    "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_HOME",
    "TORCH_HOME", "XDG_CACHE_HOME",
)  # fmt: skip
"""What a program gets of our environment: where programs, libraries, devices and caches of weights are; no token."""

_POLL_S = 0.25
_SHOWN = 240
_TAIL_BYTES = 8192
_SESSION = 3
"""Place of the session in `/proc/<pid>/stat`, counted from behind the name."""


@dataclass(frozen=True)
class ProgramLimits:
    """`memory_gb`: proportional resident memory of all its processes, looked at four times a second. Address space is
    not limited: CUDA reserves terabytes of it. `file_gb`: the largest file that it may write."""

    timeout_s: float
    memory_gb: float
    file_gb: float = 8.0


@dataclass(frozen=True)
class ProgramEnd:
    """How a program ended. `code` is negative for a signal, None where it did not end by itself; `detail` is one line,
    with the last line that it printed."""

    kind: Literal["ended", "failed", "timeout", "memory", "not_started"]
    code: int | None
    seconds: float
    detail: str


def program_environment(python: Path, temporary: Path, more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program: `PASSED_ON`, the programs beside its interpreter first, a folder for its temporary
    files, and `more`, which wins."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    path = os.pathsep.join([str(python.parent), passed.get("PATH", os.defpath)])
    return passed | {"PATH": path, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"} | dict(more)


def run_program(
    argv: Sequence[str], folder: Path, environment: Mapping[str, str], limits: ProgramLimits, log: Path
) -> ProgramEnd:
    """Run `argv` in `folder` until it ends or a limit is passed; what it prints is added to `log`.

    Raises `MachineError` where the machine can start no process or has no room for the log.
    """
    began = time.monotonic()
    with writing(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("ab")
    with output:
        try:
            process = _started(argv, folder, environment, output)
        except OSError as error:
            trouble = machine_trouble(error)
            if trouble is not None:
                raise MachineError(f"{argv[0]} cannot be started: {trouble}") from error
            return ProgramEnd("not_started", None, 0.0, f"{argv[0]} cannot be started: {error.strerror}")
    try:
        _limit_files(process.pid, limits.file_gb)
        kind = _watched(process, limits, began)
    finally:
        _kill_session(process.pid)
        process.wait()
    seconds = round(time.monotonic() - began, 3)
    return ProgramEnd(
        kind,
        process.returncode if kind in ("ended", "failed") else None,
        seconds,
        _said(kind, process.returncode, limits, log),
    )


def _started(argv: Sequence[str], folder: Path, environment: Mapping[str, str], output: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(argv),
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _limit_files(pid: int, file_gb: float) -> None:
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (int(file_gb * 1e9), int(file_gb * 1e9)))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))


def _watched(
    process: subprocess.Popen[bytes], limits: ProgramLimits, began: float
) -> Literal["ended", "failed", "timeout", "memory"]:
    while True:
        left = limits.timeout_s - (time.monotonic() - began)
        try:
            return "ended" if process.wait(timeout=max(0.0, min(_POLL_S, left))) == 0 else "failed"
        except subprocess.TimeoutExpired:
            if left <= 0:
                return "timeout"
            if sum(map(_memory_bytes, _of_session(process.pid))) > limits.memory_gb * 1e9:
                return "memory"


def _of_session(session: int) -> Iterator[int]:
    """The processes of a session: the program and its children, whatever group they made for themselves."""
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                # The name, in brackets, may hold blanks and brackets itself.
                fields = Path(entry.path, "stat").read_text(errors="replace").rpartition(")")[2].split()
                if int(fields[_SESSION]) == session:
                    yield int(entry.name)


def _memory_bytes(pid: int) -> int:
    """Proportional set size: what several processes share counts once."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _kill_session(session: int) -> None:
    for pid in list(_of_session(session)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _said(kind: str, code: int | None, limits: ProgramLimits, log: Path) -> str:
    how = {
        "ended": "ended",
        "failed": f"signal {-code}" if code is not None and code < 0 else f"exit code {code}",
        "timeout": f"no end within {limits.timeout_s:g} s",
        "memory": f"more than {limits.memory_gb:g} GB of memory",
    }[kind]
    last = _last_line(log)
    return f"{how}; it said: {last}" if last else how


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return next((" ".join(line.split())[:_SHOWN] for line in reversed(lines) if line.strip()), "")
