"""No command ends in a traceback, whatever it is given."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import magictalk_core.commands.untrusted as untrusted
import pipelines.demo as demo
import pipelines.run as pipeline
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.work.isolation import Crash
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from tests.face_fixtures import need_embedded_weights
from tests.hostile_arguments import Command, commands, make_files, make_outputs

CASES, PARTS, FAST_PARTS = 2_000, 10, 3
LONGEST_S = 30.0
runner = CliRunner()


def _in_this_process(function: Callable[..., Any], tasks: Sequence[Any], **_: Any) -> Iterator[tuple[int, Any]]:
    """As `map_isolated`, without a child: thousands of them would take an hour."""
    for index, arguments in enumerate(tasks):
        try:
            yield index, function(*arguments)
        except Exception as error:  # the boundary of the child
            yield index, Crash("raised", f"{type(error).__name__}: {error}")


def _never(*_: object, **__: object) -> None:
    raise AssertionError("would work for minutes")


@pytest.fixture
def all_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    need_embedded_weights()
    monkeypatch.setattr(untrusted, "map_isolated", _in_this_process)
    for module, function in ((demo, "prepare_demo"), (pipeline._Runner, "materialize"), (pipeline._Runner, "observe")):
        monkeypatch.setattr(module, function, _never)
    # Made once: describing all options to the parser takes longer than most of the cases.
    command = typer.main.get_command(app)
    monkeypatch.setattr(typer.testing, "_get_command", lambda _: command)
    monkeypatch.setenv("MAGICTALK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "files"
    folder.mkdir()
    homes = [str(tmp_path / "home"), str(folder / "text.txt"), str(folder / "loop.mp4"), "/proc/x", "~nobody-there/x",
             "h" * 300, "new\nhome", "\udcff", "🙂", str(folder / "text.txt" / "x")]  # fmt: skip
    files = make_files(folder)
    add_corpus(Workspace(tmp_path / "home"), new_entry(name="mine", kind="folder", root=folder))
    return commands(files, make_outputs(folder), homes)


def _complaint(line: list[str]) -> str | None:
    """What is wrong with how this command line ended; None when it ended as it should."""
    done = runner.invoke(app, line)
    last = [said for said in done.stderr.splitlines() if said.startswith("magictalk: ")]
    if not isinstance(done.exception, SystemExit | None):
        return f"{_short(line)}: {done.exception!r}"
    if done.exit_code not in (0, 1, 2) or "Traceback" in done.output:
        return f"{_short(line)}: exit code {done.exit_code}: {done.output[-500:]}"
    if done.exit_code and (len(last) != 1 or ": unexpected " in last[0] or not last[0].isprintable()):
        return f"{_short(line)}: {done.stderr[-300:]}"
    return None


def _short(line: list[str]) -> list[str]:
    return [word if len(word) < 80 else f"{word[:30]}...{word[-40:]}" for word in line]


def test_every_command_is_given_hostile_arguments(all_commands: list[Command]) -> None:
    def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for name, one in getattr(command, "commands", {}).items():
            yield from leaves(one, (*words, name))
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield words

    starts_servers = {("ui",)}
    known = {tuple(command.words) for command in all_commands}
    assert set(leaves(typer.main.get_command(app))) - starts_servers - {()} == known


@pytest.mark.thinned(3)
@pytest.mark.parametrize(
    "part", [*range(FAST_PARTS), *(pytest.param(part, marks=pytest.mark.slow) for part in range(FAST_PARTS, PARTS))]
)
def test_no_command_ends_in_a_traceback(part: int, all_commands: list[Command]) -> None:
    chance, began = random.Random(part), time.process_time()
    lines = [command.line(chance) for command in chance.choices(all_commands, k=CASES // PARTS)]
    complaints = [said for said in map(_complaint, lines) if said is not None]
    assert time.process_time() - began < LONGEST_S
    assert not complaints, f"{len(complaints)} of {len(lines)}: " + "\n".join(complaints[:20])
