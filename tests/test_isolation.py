from __future__ import annotations

import os
import signal
import time

from magictalk_core.work.isolation import Crash, map_isolated


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
    assert isinstance(outcomes[3], Crash) and "ValueError: bad" in outcomes[3].detail
    assert isinstance(outcomes[4], Crash) and "memory" in outcomes[4].detail
    assert [outcomes[n] for n in (0, 5, 6, 7)] == [0, 25, 36, 49]


def test_no_tasks_give_no_outcomes() -> None:
    assert list(map_isolated(behave, [], workers=2, timeout_s=1.0)) == []
