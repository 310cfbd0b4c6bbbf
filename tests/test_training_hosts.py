"""Trainings in forks of one process: the model that a process of its own trains, and nothing outlives who asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from training_fixtures import build, preset

from assets.training_hosts import run_training
from magictalk_core.models.families import FAMILIES
from magictalk_core.training.run import current_run, train
from magictalk_core.training.tracking import MemoryTracker


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hosts")
    build(made)
    for name, epochs in (("short", 2), ("long", 10_000)):
        values = preset(training={"epochs": epochs}).model_dump(mode="json")
        (made / f"{name}.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return made


def arguments(folder: Path, out: str, length: str = "short") -> list[str]:
    named = {"--config": folder / f"{length}.yaml", "--data": folder / "set", "--out": folder / out}
    return [
        "--family",
        "emodiff",
        "--log",
        str(folder / f"{out}.log"),
        *(str(p) for pair in named.items() for p in pair),
    ]


def children(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for found in lists for child in found.read_text().split()]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def hosts() -> list[int]:
    return [pid for pid in children(os.getpid()) if "train_host" in command(pid)]


def soon(found: Callable[[], object]) -> object:
    """What `found` returns when it is anything, within a minute."""
    end = time.monotonic() + 60
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


@pytest.fixture
def long_training(folder: Path, request: pytest.FixtureRequest) -> Iterator[tuple[threading.Thread, list[int]]]:
    """A training that would take hours, in a thread that puts its exit code into the list."""
    codes: list[int] = []
    asked = arguments(folder, f"long-{request.node.name}", "long")
    thread = threading.Thread(target=lambda: codes.append(run_training(sys.executable, asked, os.environ)))
    thread.start()
    soon(lambda: (folder / f"long-{request.node.name}").exists())
    yield thread, codes
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.slow
def test_two_trainings_share_a_host_and_are_what_a_training_alone_is(folder: Path) -> None:
    used = []
    for out in ("first", "second"):
        assert run_training(sys.executable, arguments(folder, out), os.environ) == 0
        used.append(hosts())
        assert "model " in (folder / f"{out}.log").read_text()
    assert used[0] == used[1] and len(used[0]) == 1
    values = preset(training={"epochs": 2})
    alone = train(FAMILIES["emodiff"], values, folder / "set", folder / "alone", MemoryTracker())
    assert {current_run(folder / out).weights_md5 for out in ("first", "second")} == {alone.weights_md5}


@pytest.mark.slow
def test_wrong_arguments_end_as_they_do_alone_and_the_next_training_runs(folder: Path, tmp_path: Path) -> None:
    asked = arguments(folder, "wrong")
    asked[asked.index("--data") + 1] = str(tmp_path / "nowhere")
    assert run_training(sys.executable, asked, os.environ) in (1, 2)
    assert "training failed: " in (folder / "wrong.log").read_text()
    assert run_training(sys.executable, arguments(folder, "after"), os.environ) == 0


def test_environment_and_folder_are_those_of_whoever_asks(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = [*arguments(folder, "elsewhere"), "--tracking-uri", "sqlite:///runs.db"]
    environment = os.environ | {"MAGICTALK_MLFLOW_ARTIFACTS": (tmp_path / "kept").as_uri()}
    assert run_training(sys.executable, asked, environment) == 0
    assert (tmp_path / "runs.db").is_file() and any((tmp_path / "kept").rglob("*.*"))


def test_a_killed_training_is_told_by_its_signal(long_training: tuple[threading.Thread, list[int]]) -> None:
    thread, codes = long_training
    (host,) = (pid for pid in hosts() if children(pid))
    os.kill(children(host)[0], signal.SIGKILL)
    thread.join(60)
    assert codes == [-signal.SIGKILL] and host in hosts()


def test_a_killed_host_takes_its_training_along(long_training: tuple[threading.Thread, list[int]]) -> None:
    thread, codes = long_training
    (host,) = (pid for pid in hosts() if children(pid))
    (training,) = children(host)
    os.kill(host, signal.SIGKILL)
    thread.join(60)
    assert codes == [-signal.SIGKILL]
    soon(lambda: not Path(f"/proc/{training}").exists())


@pytest.mark.slow
@pytest.mark.parametrize("with_what", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_training_ends_with_who_asked_for_it(folder: Path, with_what: signal.Signals) -> None:
    asked = arguments(folder, f"asker-{with_what.name}", "long")
    script = "import os, sys; from assets.training_hosts import run_training\n"
    script += f"sys.exit(run_training(sys.executable, {asked!r}, os.environ))"
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as asker:
        soon(lambda: (folder / f"asker-{with_what.name}").exists())
        (host,) = children(asker.pid)
        (training,) = children(host)
        asker.send_signal(with_what)
        asker.wait(60)
    for pid in (training, host):
        soon(lambda pid=pid: not Path(f"/proc/{pid}").exists())


def test_an_interpreter_that_dies_at_once_is_told_as_it_died(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -9 $$\n")
    python.chmod(0o755)
    assert run_training(str(python), [], os.environ) == -signal.SIGKILL
