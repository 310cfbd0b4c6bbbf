"""Every error is one line with its cause; what native code logs, and how long a table is, never folds the answer."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import magictalk_core.preparation.listing as listing
from magictalk_core.faces.quiet_start import native_log_lines
from pipelines.cli import app
from pipelines.one_line import plain

runner = CliRunner()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["extract", "v.mp4"], "Missing option '-o' / '--output': see magictalk extract --help"),
        (["extract", "-o", "a.csv"], "Missing argument 'video': see magictalk extract --help"),
        (["extract", "a", "b", "-o", "a.csv"], "unexpected extra argument"),
        (["swim"], "No such command 'swim': see magictalk --help"),
        (["--speed", "3"], "No such option: --speed"),
        (["run", "--slect", "x"], "No such option: --slect"),
        (["animate", "--size", "big"], "'--size': Input should be a valid integer"),
        (["animate", "--size", "9" * 30], "'--size': Input should be less than or equal to 1024"),
        (["corpus", "swim"], "No such command 'swim': see magictalk corpus --help"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_error_of_usage_is_one_line(words: list[str], says: str) -> None:
    done = runner.invoke(app, words, prog_name="magictalk")
    (line,) = done.stderr.strip().splitlines()
    assert done.exit_code == 2 and line.startswith("magictalk: ") and says in line


@pytest.mark.parametrize("words", [[], ["corpus"], ["weights"]], ids=str)
def test_a_command_that_is_given_nothing_shows_its_help(words: list[str]) -> None:
    done = runner.invoke(app, words)
    assert "Commands:" in done.output and "magictalk: " not in done.output


def _broken(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_where_no_log_can_be_kept_that_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(listing, "corpus_overview", _broken(ZeroDivisionError("a rate of nothing")))
    monkeypatch.setattr(Path, "write_text", _broken(OSError(30, "Read-only file system")))
    done = runner.invoke(app, ["corpus", "list", "--home", str(tmp_path)])
    (line,) = done.stderr.strip().splitlines()
    assert done.exit_code == 1 and "ZeroDivisionError: a rate of nothing; traceback: not kept" in line
    assert "MAGICTALK_HOME" in line and "--verbose" in line


def test_what_the_system_says_of_a_path_that_the_user_gave_is_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for given, code in ((tmp_path, 2), (tmp_path / "other", 1)):
        gone = FileNotFoundError(2, "No such file or directory", str(given))
        monkeypatch.setattr(listing, "corpus_overview", _broken(gone))
        done = runner.invoke(app, ["corpus", "list", "--home", str(tmp_path)])
        assert done.exit_code == code and f"{given}" in done.stderr.splitlines()[-1]


def test_names_are_shown_in_one_line() -> None:
    assert plain("größe  🙂 a\nb\x1b[31m\udcff") == r"größe  🙂 a\nb\x1b[31m\udcff"


def test_native_log_lines_go_to_the_log(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    for level in (logging.INFO, logging.DEBUG):
        with caplog.at_level(level, logger="magictalk.native"), native_log_lines():
            os.write(2, b"W0000 00:00:1 graph.cc:1] Sets acceleration\nINFO: Created delegate\n")
        os.write(2, b"after\n")
        assert level == logging.DEBUG or capfd.readouterr().err == "after\n"
    assert caplog.messages == ["W0000 00:00:1 graph.cc:1] Sets acceleration", "INFO: Created delegate"]


def test_an_exception_is_shown_with_what_native_code_said_before(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), native_log_lines():
        os.write(2, b"F0000 the reason\n")
        raise ZeroDivisionError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "F0000 the reason\nafter\n"


_TRACK = """
from magictalk_core.faces.tracker import open_tracker
from tests.face_fixtures import astronaut
print([seen.face_found for seen in open_tracker("mediapipe").track([astronaut(), None])])
"""


def test_mediapipe_starts_without_a_word(shared: Path) -> None:
    environment = os.environ | {"MAGICTALK_WEIGHTS": str(shared / "weights")}
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", _TRACK], capture_output=True, text=True, check=True, env=environment, cwd=root
    )
    assert (done.stdout.strip(), done.stderr) == ("[True, False]", "")
