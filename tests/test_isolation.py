"""Children that misbehave: what costs one task, what stops the run, and what never reaches the parent."""

from __future__ import annotations

import errno
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from magictalk_core.errors import MachineError, PermanentError, TransientError
from magictalk_core.preparation.preload import PRELOAD
from magictalk_core.work.isolation import MAX_ANSWER_BYTES, Crash, map_isolated


def behave(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    if number == 2:
        time.sleep(60)
    if number == 3:
        raise ValueError("bad\npicture")
    if number == 4:
        return len(bytearray(3_000_000_000))
    return number * number


def test_a_crash_a_hang_and_an_error_cost_one_task_each() -> None:
    tasks = [(n,) for n in range(8)]
    outcomes = dict(map_isolated(behave, tasks, workers=2, timeout_s=5.0, memory_gb=2.0))
    assert sorted(outcomes) == list(range(8))
    assert outcomes[1] == Crash("died", "signal 11")
    assert isinstance(outcomes[2], Crash) and outcomes[2].kind == "timeout"
    assert outcomes[3] == Crash("raised", "ValueError: bad picture")
    assert isinstance(outcomes[4], Crash) and "memory" in outcomes[4].detail
    assert [outcomes[n] for n in (0, 5, 6, 7)] == [0, 25, 36, 49]


def test_no_tasks_give_no_outcomes() -> None:
    assert list(map_isolated(behave, [], workers=2, timeout_s=1.0)) == []


def one(function: Callable[..., Any], *arguments: Any, timeout_s: float = 20.0, memory_gb: float | None = None) -> Any:
    ((_, outcome),) = map_isolated(function, [arguments], workers=1, timeout_s=timeout_s, memory_gb=memory_gb)
    return outcome


def fail_with(number: int) -> None:
    raise OSError(number, os.strerror(number), "/store/x")


def fail_behind_another(number: int) -> None:
    try:
        fail_with(number)
    except OSError as error:
        raise PermanentError("no picture") from error


@pytest.mark.parametrize("fail", [fail_with, fail_behind_another])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EDQUOT])
def test_trouble_of_the_machine_is_nobodys_outcome(number: int, fail: Any) -> None:
    with pytest.raises(MachineError, match=f"/store/x: {os.strerror(number)}.*same command again"):
        one(fail, number)


def test_errors_that_a_file_can_bring_about_stay_its_own() -> None:
    for number in (errno.EIO, errno.ENOENT, errno.EACCES):
        assert isinstance(one(fail_with, number), Crash)


def be_killed(number: int) -> None:
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)  # a job in the background of a script ignores SIGTERM
    os.kill(os.getpid(), number)
    time.sleep(5)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_killed_from_outside_stops_the_run(number: int) -> None:
    with pytest.raises(MachineError, match="stopped from outside"):
        one(be_killed, number)


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE])
def test_a_child_that_crashes_costs_its_task(number: int) -> None:
    assert one(be_killed, number) == Crash("died", f"signal {int(number)}")


def want_memory() -> None:
    raise MemoryError


def test_memory_is_the_childs_fault_only_below_a_limit() -> None:
    assert one(want_memory, memory_gb=3.0) == Crash("died", "out of memory, limit 3000000000 bytes")
    with pytest.raises(MachineError, match="no memory left"):
        one(want_memory)


def need_the_network() -> None:
    raise TransientError("no answer from the index")


def test_what_is_worth_another_try_is_raised_for_the_retry() -> None:
    with pytest.raises(TransientError, match="no answer from the index"):
        one(need_the_network)


class Canary:
    """Writes a file when somebody unpickles it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def _own_pipe() -> int:
    """The pipe to the parent: the last one that this child may write to."""
    pipes = map(int, os.listdir("/proc/self/fd"))
    return max(fd for fd in pipes if _is_pipe_to_write(fd))


def _is_pipe_to_write(fd: int) -> bool:
    try:
        flags = Path(f"/proc/self/fdinfo/{fd}").read_text().split("flags:")[1].split()[0]
        return os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:") and int(flags, 8) & os.O_ACCMODE == os.O_WRONLY
    except OSError:
        return False


def send_raw(kind: str, path: str) -> None:
    """A child in the hands of an attacker, with the pipe to the parent."""
    canary = pickle.dumps(Canary(path))
    framed = len(canary).to_bytes(4, "big") + canary
    sent = {
        "pickle": canary,
        "framed pickle": framed,
        "announced, not sent": (1000).to_bytes(4, "big"),
        "nested": b"[" * 100_000,
        "unknown": json.dumps({"result": 1, "crash": ["died", "x"]}).encode(),
        "no list": json.dumps({"crash": "x"}).encode(),
        "too much": b" " * (MAX_ANSWER_BYTES + 1),
    }[kind]
    pipe = _own_pipe()
    while sent:
        sent = sent[os.write(pipe, sent) :]
    if kind.startswith("announced"):
        time.sleep(60)
    os._exit(0)


@pytest.mark.parametrize(
    "kind", ["pickle", "framed pickle", "announced, not sent", "nested", "unknown", "no list", "too much"]
)
def test_what_a_child_sends_is_data_and_nothing_of_it_runs(kind: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(Canary(str(canary)))).close()
    assert canary.exists(), "the canary sings where something unpickles it"
    canary.unlink()
    outcome = one(send_raw, kind, str(canary), timeout_s=4.0)
    assert isinstance(outcome, Crash)
    assert not canary.exists()


def answer_no_json() -> Any:
    return {1, 2}


def test_a_result_that_is_no_json_says_so() -> None:
    outcome = one(answer_no_json)
    assert isinstance(outcome, Crash) and "not JSON serializable" in outcome.detail


def test_a_large_answer_arrives_whole() -> None:
    assert one(list, "ab" * 1_000_000) == list("ab" * 1_000_000)


def leave_a_grandchild() -> None:
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    os._exit(0)


def test_a_grandchild_that_holds_the_pipe_does_not_hold_the_run() -> None:
    start = time.monotonic()
    assert one(leave_a_grandchild, timeout_s=2.0) == Crash("timeout", "no result within 2 s")
    assert time.monotonic() - start < 15


_NO_FILES_LEFT = """
import resource, sys
from magictalk_core.errors import MachineError
from magictalk_core.work.isolation import map_isolated
if __name__ == "__main__":
    list(map_isolated(abs, [(1,)], workers=1, timeout_s=20))
    files = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
    try:
        while True:
            files.append(open("/dev/null"))
    except OSError:
        pass
    try:
        list(map_isolated(abs, [(1,)], workers=1, timeout_s=20))
    except MachineError as error:
        print(error)
"""


def test_a_parent_without_files_left_says_so(tmp_path: Path) -> None:
    script = tmp_path / "no_files.py"
    script.write_text(_NO_FILES_LEFT)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60)
    assert "no child process can be started: Too many open files" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 40


_PRELOADED = """
import sys
from magictalk_core.work.isolation import map_isolated

def has(name):
    return name in sys.modules

if __name__ == "__main__":
    print(dict(map_isolated(has, [("wave",), ("chunk_that_is_not",)], workers=1, timeout_s=20, preload=("wave",))))
    print(dict(map_isolated(abs, [(-1,)], workers=1, timeout_s=20, preload=("other",))))
"""


def test_the_server_imports_what_its_first_caller_names(tmp_path: Path) -> None:
    script = tmp_path / "preloaded.py"
    script.write_text(_PRELOADED)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["{0: True, 1: False}", "{0: 1}"]


def test_everything_that_is_preloaded_can_be_imported() -> None:
    for module in PRELOAD:
        __import__(module)
