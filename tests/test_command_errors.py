"""What goes wrong in a command is one line with an exit code: 2 the user's, 1 the data's, the machine's or ours."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from training_fixtures import build, preset
from typer.testing import CliRunner, Result

import assets.retries
import magictalk_core.preparation.listing as listing
from magictalk_core.errors import MachineError, PermanentError, TransientError, UserError
from magictalk_core.media.probe import MediaError
from magictalk_core.vocabulary.clips import Reason
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from pipelines.jobs import INDEX
from tests.media_fixtures import make_clip

runner = CliRunner()


@pytest.fixture
def home(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a corpus of one clip, and no waiting between tries."""
    monkeypatch.setattr(assets.retries, "SECONDS_BETWEEN_TRIES", 0.0)
    (tmp_path / "raw").mkdir()
    make_clip(tmp_path / "raw" / "a.mp4", 1.0, size="64x48")
    add = ["corpus", "add", "mine", "--kind", "folder", "--root", str(tmp_path / "raw"), "--home", str(workspace.home)]
    assert runner.invoke(app, add).exit_code == 0
    return workspace.home


def _run(home: Path, select: str, *more: str) -> Result:
    return runner.invoke(app, ["run", "--home", str(home), "--select", select, *more])


def _failing(monkeypatch: pytest.MonkeyPatch, *errors: BaseException | None) -> Callable[[], int]:
    """`write_index` raises these in turn, None is the real one; the result counts the tries."""
    real, tries = listing.write_index, []

    def write_index(*arguments: object) -> object:
        tries.append(arguments)
        error = errors[min(len(tries), len(errors)) - 1]
        if error is not None:
            raise error
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(listing, "write_index", write_index)
    return lambda: len(tries)


def _last_line(done: Result) -> str:
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (UserError("no such emotion"), 2, "no such emotion"),
        (PermanentError("a broken table"), 1, "a broken table"),
        (MediaError(Reason.UNREADABLE, "a broken file"), 1, "a broken file"),
        (MachineError("the disk is gone"), 1, "the disk is gone"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/big/file"),
            1,
            "/big/file: No space left on device: make room",
        ),
        (MemoryError(), 1, "no memory left"),
        (dg.DagsterExecutionInterruptedError(), 1, "interrupted: give the same command again"),
    ],
    ids=["user", "data", "media", "machine", "disk", "memory", "interrupt"],
)
def test_a_failed_run_ends_with_the_code_of_its_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str
) -> None:
    tries = _failing(monkeypatch, error)
    done = _run(home, f"mine/{INDEX}")
    assert (done.exit_code, tries()) == (code, 1), done.stderr
    assert _last_line(done).startswith(f"magictalk: mine/{INDEX}: {says}")
    assert "Traceback" not in done.stderr


def test_a_passing_trouble_is_tried_again_and_a_lasting_one_ends_with_1(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = TransientError("the server is busy")
    with monkeypatch.context() as patched:
        tries = _failing(patched, busy, busy, None)
        done = _run(home, f"mine/{INDEX}")
        assert (done.exit_code, tries()) == (0, 3), done.stderr
    tries = _failing(monkeypatch, busy)
    done = _run(home, f"mine/{INDEX}")
    assert (done.exit_code, tries()) == (1, 1 + assets.retries.MAX_RETRIES)
    assert "the server is busy" in _last_line(done)


def test_what_nobody_foresaw_is_one_line_that_names_its_traceback(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(monkeypatch, ZeroDivisionError("a rate of nothing"))
    done = _run(home, f"mine/{INDEX}")
    assert done.exit_code == 1 and "ZeroDivisionError: a rate of nothing" in _last_line(done)
    (log,) = (home / "logs").iterdir()
    assert str(log) in _last_line(done) and "in write_index" in log.read_text()

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("outside of a run")

    monkeypatch.setattr(listing, "corpus_overview", broken)
    done = runner.invoke(app, ["corpus", "list", "--home", str(home)])
    assert done.exit_code == 1 and len(done.stderr.strip().splitlines()) == 1
    (second,) = set((home / "logs").iterdir()) - {log}
    assert str(second) in done.stderr and "in broken" in second.read_text()
    done = runner.invoke(app, ["--verbose", "corpus", "list", "--home", str(home)])
    assert done.exit_code == 1 and "Traceback" in done.stderr and "in broken" in done.stderr


@pytest.mark.slow
def test_shards_are_known_before_they_are_asked_for(home: Path) -> None:
    done = _run(home, "mine/media", "--json")
    assert done.exit_code == 0, done.stderr
    assert Workspace(home).index_table("mine").is_file()
    (shard,) = (Workspace(home).dataset("mine") / "media").glob("*.parquet")
    assert f"mine/media [{shard.stem}]" in done.stderr
    again = _run(home, "mine/media")
    assert f"mine/{INDEX}" not in again.stderr, "an index that is there is not made again"


@pytest.mark.parametrize(
    "command", [["corpus", "add", "mine", "--kind", "folder", "--root", "/tmp"], ["demo"]], ids=lambda words: words[0]
)
def test_a_home_that_cannot_be_made_is_one_line(command: list[str]) -> None:
    # The kernel's own file system takes no folders, not even from root.
    done = runner.invoke(app, [*command, "--home", "/sys/magictalk"])
    (line,) = done.stderr.strip().splitlines()
    assert done.exit_code == 2 and line.startswith("magictalk: --home /sys/magictalk: ")


def test_a_run_in_a_home_that_became_read_only_is_one_line(home: Path) -> None:
    assert _run(home, "nothing").exit_code == 2  # imports all while this process may read the interpreter's folder
    outside = Path(tempfile.mkdtemp())  # pytest's own folders are closed for others
    moved = Path(shutil.move(home, outside / "home"))
    for path in (outside, *outside.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may write to what is read-only
    try:
        done = _run(moved, "mine/media")
    finally:
        if root:
            os.seteuid(0)
        for path in (outside, moved):
            path.chmod(0o755)
        shutil.rmtree(outside)
    (line,) = done.stderr.strip().splitlines()
    assert done.exit_code == 1 and ".run.lock: Permission denied: make that folder writable" in line


@pytest.mark.parametrize("command", [["run"], ["corpus", "list"], ["demo"]], ids=" ".join)
def test_a_home_that_is_a_file_is_the_users_error(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "home").write_text("a letter")
    done = runner.invoke(app, [*command, "--home", str(tmp_path / "home")])
    (line,) = done.stderr.strip().splitlines()
    assert done.exit_code == 2 and "a file, expected a folder" in line


@pytest.mark.slow
def test_the_cause_of_a_failed_training_stands_in_the_last_line(home: Path, tmp_path: Path) -> None:
    build(tmp_path)
    shutil.copytree(tmp_path / "set", Workspace(home).training_set)
    wild = tmp_path / "wild.yaml"
    wild.write_text(preset(training={"learning_rate": 1e20, "clip_norm": 1e30}).model_dump_json())
    done = _run(home, "models/emodiff", "--preset", str(wild))
    assert done.exit_code == 1, done.stderr
    assert _last_line(done) == (
        "magictalk: models/emodiff: the loss is nan at step 1: lower training.learning_rate (now 1e+20) in the preset"
    )


@pytest.mark.slow
def test_a_training_keeps_its_exit_code(home: Path, tmp_path: Path) -> None:
    """The child says UserError by its own words, through Pipes; the step that waited only knows that it failed."""
    build(tmp_path)
    shutil.copytree(tmp_path / "set", Workspace(home).training_set)
    tiny = tmp_path / "tiny.yaml"
    tiny.write_text(preset().model_dump_json())
    done = _run(home, "models/emodiff_student", "--preset", str(tiny))
    assert done.exit_code == 2, done.stderr
    assert _last_line(done).startswith("magictalk: models/emodiff_student: ") and "models/emodiff" in _last_line(done)
    (Workspace(home).training_set / "info.json").write_text("{")
    done = _run(home, "models/emodiff_student", "--preset", str(tiny))
    assert done.exit_code == 1, done.stderr
