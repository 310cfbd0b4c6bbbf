"""Outputs that cannot be written are one line that begins with `-o` and the path, before anything is computed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import magictalk_core.commands.animate as animate
import magictalk_core.commands.animate_curves as animate_curves
import magictalk_core.commands.convert as convert
import magictalk_core.commands.extract as extract
import magictalk_core.commands.speech as speech
from magictalk_core.errors import MachineError, UserError
from magictalk_core.storage.cache import cache_root, must_take_cached_files
from magictalk_core.storage.outputs import must_be_writable
from pipelines.cli import app

runner = CliRunner()


def _never(*_: Any, **__: Any) -> Any:
    raise AssertionError("work was begun although its result cannot be written")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that every command would take; the work itself is out of reach."""
    for module, name in (
        (extract, "made_apart"),
        (convert, "read_curves"),
        (speech, "sound_of"),
        (animate, "perform"),
        (animate_curves, "perform"),
    ):
        monkeypatch.setattr(module, name, _never)
    (tmp_path / "source.mp4").write_bytes(b"a video")
    return tmp_path / "source.mp4"


def _extract(source: Path, output: Path) -> list[str]:
    return ["extract", str(source), "-o", f"{output}.parquet", "--tracker", "litert"]


def _convert(source: Path, output: Path) -> list[str]:
    return ["convert", str(source), "-o", f"{output}.glb"]


def _speech(source: Path, output: Path) -> list[str]:
    return ["speech", str(source), "-o", f"{output}.npy", "--feature", "logmel-29-1"]


def _animate(source: Path, output: Path) -> list[str]:
    return ["animate", "--audio", str(source), "--portrait", str(source), "--style", "happy", "-o", f"{output}.mp4"]


def _animate_curves(source: Path, output: Path) -> list[str]:
    return ["animate", "--audio", str(source), "--style", "happy", "-o", f"{output}.usda"]


COMMANDS = pytest.mark.parametrize(
    "command", [_extract, _convert, _speech, _animate, _animate_curves], ids=lambda f: f.__name__[1:]
)
MakeLine = Callable[[Path, Path], list[str]]


def _refused(line: list[str], says: str, code: int = 2) -> None:
    done = runner.invoke(app, line)
    (said,) = done.stderr.strip().splitlines()
    output = line[line.index("-o") + 1]
    assert (done.exit_code, done.stdout) == (code, "") and said.startswith(f"magictalk: -o {output}: "), said
    assert says in said


@COMMANDS
def test_a_folder_of_that_name(command: MakeLine, source: Path, tmp_path: Path) -> None:
    for suffix in (".parquet", ".glb", ".npy", ".mp4", ".usda"):
        (tmp_path / f"out{suffix}").mkdir()
    _refused(command(source, tmp_path / "out"), "a folder, expected the name of a file")


@COMMANDS
def test_a_file_as_parent(command: MakeLine, source: Path, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("")
    _refused(command(source, tmp_path / "file.txt" / "out"), "file.txt is no folder")
    _refused(command(source, tmp_path / "file.txt" / "new" / "out"), "file.txt is no folder")


@COMMANDS
def test_a_name_that_no_file_can_have(command: MakeLine, source: Path, tmp_path: Path) -> None:
    _refused(command(source, tmp_path / ("x" * 256)), "File name too long")
    _refused(command(source, tmp_path / "new" / ("x" * 256)), "File name too long")
    _refused(command(source, tmp_path / ("ü" * 128)), "File name too long")  # bytes count
    assert [path.name for path in tmp_path.iterdir()] == ["source.mp4"], "nothing is left behind"


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Root may write to what is read-only."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed for others
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder(read_only: Path) -> None:
    with _as_nobody():
        for output in (read_only / "out.csv", read_only / "new" / "below" / "out.csv"):
            with pytest.raises(UserError, match=f"^-o {output}: Permission denied: choose another place than"):
                must_be_writable(output)
    with pytest.raises(UserError, match=r"^-o /proc/out\.csv: "):
        must_be_writable(Path("/proc/out.csv"))


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@COMMANDS
def test_a_full_disk_and_a_read_only_one(command: MakeLine, source: Path, mounted: Path) -> None:
    _refused(command(source, mounted / "out"), "No space left on device: make room on that disk", code=1)
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    _refused(command(source, mounted / "out"), "Read-only file system: choose another place than")


def test_a_full_disk_is_the_machines(mounted: Path) -> None:
    with pytest.raises(MachineError, match="at least 1 MB"):
        must_be_writable(mounted / "out.csv")


def test_a_good_output_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("older")
    must_be_writable(tmp_path / "there.csv")
    must_be_writable(tmp_path / "new" / "below" / "out.csv")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("there.csv", "older")]


def _line(done: Result) -> str:
    (line,) = done.stderr.strip().splitlines()
    return str(line)


@pytest.mark.parametrize(
    "words",
    [["corpus", "add", "mine", "--kind", "folder", "--root", "/tmp"], ["preset", "set", "sample"], ["demo"]],
    ids=" ".join,
)
def test_a_workspace_that_cannot_be_written_to(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in ("/proc/home", str(tmp_path / "file" / "home")):
        done = runner.invoke(app, [*words, "--home", home])
        assert done.exit_code == 2 and _line(done).startswith(f"magictalk: --home {home}: ")
        assert _line(done).endswith(" with --home or $MAGICTALK_HOME")


def test_without_a_cache_that_can_be_written_to_its_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Path
) -> None:
    """The key that signs a video lies there: asked before the video is made."""
    monkeypatch.setenv("MAGICTALK_CACHE", "/proc/cache")
    with pytest.raises(UserError, match=r"^the cache /proc/cache \(set MAGICTALK_CACHE for another\): "):
        must_take_cached_files()
    done = runner.invoke(app, _animate(source, tmp_path / "out"))
    assert done.exit_code == 2 and "set MAGICTALK_CACHE" in _line(done)
    done = runner.invoke(app, ["weights", "fetch", "face_landmark.tflite"])
    assert done.exit_code == 2 and "set MAGICTALK_CACHE" in _line(done)
    monkeypatch.delenv("MAGICTALK_CACHE")
    monkeypatch.setattr(Path, "home", lambda: _raise(RuntimeError("Could not determine home directory.")))
    with pytest.raises(UserError, match="set MAGICTALK_CACHE to a folder that can be written"):
        cache_root()


def _raise(error: Exception) -> Any:
    raise error
