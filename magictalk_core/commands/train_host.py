"""`python -m magictalk_core.commands.train_host`: runs trainings, each in a fork of this process, one after another.

A training loads torch, its optimizers and MLflow for ten seconds of processor time, a small one then learns for one.
Of many trainings in a row, as in one `magictalk run`, only the first pays for that.

Requests are lines of JSON on the standard input: `arguments` of `commands.train`, `environment` and `folder`. Each is
answered on the standard output, with `{"pid": n}` at once and `{"code": n}` at its end (negative: the signal that ended
it). The host ends with its input, and takes a running training with it.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
from dataclasses import dataclass

__all__ = ["main"]

_READ_BYTES = 1 << 16
_INPUT, _OUTPUT, _ERRORS = 0, 1, 2


@dataclass(frozen=True)
class _Request:
    """What a training is started with."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str


def _load() -> None:
    """Import what a training needs; no thread may run and no GPU be in use when this process forks."""
    import torch
    from matplotlib import figure  # noqa: F401

    from magictalk_core.models.families import FAMILIES, family_named
    from magictalk_core.training import run  # noqa: F401
    from magictalk_core.training.store import ExperimentStore

    for name in FAMILIES:
        family_named(name)
    # An optimizer loads torch's compiler, a client MLflow's database.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    _ = ExperimentStore("sqlite://").client
    gc.collect()
    gc.freeze()


def _answer(**fact: int) -> None:
    os.write(_OUTPUT, json.dumps(fact).encode() + b"\n")


def _code_of(pid: int) -> int:
    """The exit code of a training that runs now. Ends the process with the training when the input ends meanwhile."""
    ended = os.pidfd_open(pid)
    try:
        ready, _, _ = select.select([ended, _INPUT], [], [])
        if ended not in ready:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
            sys.exit(1)
    finally:
        os.close(ended)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _become_training(request: _Request) -> None:
    """In the fork: what a fresh process would have been given. An end of the host is the end of the training."""
    from magictalk_core.commands.train import end_with_parent

    end_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # With SIGTERM it is ended, whatever whoever started us told us to ignore.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _INPUT)
    os.dup2(_ERRORS, _OUTPUT)
    os.close(nothing)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.argv = ["train", *request.arguments]


def _trainings() -> bool:
    """Run what is asked for. Returns in the fork, where the caller trains (True), and when the input has ended."""
    received = b""
    while True:
        line, found, rest = received.partition(b"\n")
        if not found:
            block = os.read(_INPUT, _READ_BYTES)
            if not block:
                return False
            received += block
            continue
        received, request = rest, _Request(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            _become_training(request)
            return True
        _answer(pid=pid)
        _answer(code=_code_of(pid))


def main() -> int:
    # Ctrl-C reaches every process of the terminal: it is for the training, whose end the host has to tell.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _load()
    if not _trainings():
        return 0
    from magictalk_core.commands.train import main as train

    return train()


if __name__ == "__main__":
    sys.exit(main())
