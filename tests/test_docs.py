"""The Markdown pages against the code: the commands, options, assets, settings, files and links they name are there."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

from magictalk_core.commands.dialogue_script import DialogueScript
from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.presets.preset import Preset, algorithm_differences, load_preset
from magictalk_core.workspace import Workspace
from pipelines.cli import app
from pipelines.definitions import build_definitions

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("magictalk_core/**/*.md")], key=lambda p: p.as_posix()
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FAMILY_PAGES = sorted((ROOT / "magictalk_core/models").glob("*/README.md"))


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _prose(page: Path) -> str:
    return FENCE.sub("", _text(page))


def _shell_lines() -> list[tuple[Path, str]]:
    """Every line of a fenced block of shell, continued lines joined, without its comment."""
    found = []
    for page in PAGES:
        for language, block in FENCE.findall(_text(page)):
            if language == "bash":
                lines = block.replace("\\\n", " ").splitlines()
                found += [(page, line.strip()) for line in lines if line.strip() and not line.startswith("#")]
    return found


def _words(line: str) -> list[str]:
    """The command alone: no variables before it, nothing behind a redirection, optional parts as if given."""
    words = shlex.split(line.replace("[", " ").replace("]", " "), comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words[: words.index(">")] if ">" in words else words


@cache
def _command_line() -> Any:
    return typer.main.get_command(app)


def _parse(words: list[str]) -> None:
    """Let the command line parse the words, and run nothing. Raises what it would tell the user."""
    command = _command_line()
    context, rest, name = None, words[1:], words[0]
    while hasattr(command, "commands"):
        if command.invoke_without_command and name != words[0] and rest[:1] and rest[0].startswith("-"):
            break  # a command that has commands below it, as `withdraw`
        assert rest and rest[0] in command.commands, f"no command `{' '.join(words)}`"
        name, *rest = rest
        command = command.commands[name]
    command.make_context(name, rest, parent=context)


COMMANDS = [(page, line) for page, line in _shell_lines() if _words(line)[:1] == ["magictalk"]]


def test_the_pages_have_commands() -> None:
    assert len(COMMANDS) > 25


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=lambda value: value if isinstance(value, str) else value.stem)
def test_a_command_of_the_pages_parses(page: Path, line: str) -> None:
    _parse(_words(line))


def test_a_wrong_command_would_be_told() -> None:
    for words in ("magictalk swim", "magictalk run --slect x", "magictalk corpus add x --kind mead"):
        with pytest.raises((typer.TyperException, AssertionError)):
            _parse(_words(words))


def test_commands_in_running_text_are_there() -> None:
    """`magictalk corpus check`: the names alone; options where they are named."""
    group = _command_line()
    for page in PAGES:
        for line in re.findall(r"`magictalk ([a-z][^`\n]*)`", _prose(page)):
            command, words = group, _words(line)
            while words and hasattr(command, "commands"):
                if command is not group and command.invoke_without_command and words[0].startswith("-"):
                    break
                assert words[0] in command.commands, f"{_name(page)}: no command `magictalk {line}`"
                command = command.commands[words.pop(0)]
            options = {
                option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
            }
            unknown = [word for word in words if word.startswith("--") and word not in options]
            assert not unknown, f"{_name(page)}: `magictalk {line}` has no {unknown}"


def test_other_programs_of_the_pages_are_there() -> None:
    for page, line in _shell_lines():
        words = _words(line)
        if words[0].startswith("scripts/"):
            assert (ROOT / words[0]).is_file(), f"{_name(page)}: {words[0]}"
        if words[0] == "python":
            module = words[2].replace(".", "/") if words[1] == "-m" else words[1].removesuffix(".py")
            assert (ROOT / f"{module}.py").is_file() or (ROOT / module).is_dir(), f"{_name(page)}: {line}"
    for page in PAGES:
        for script in re.findall(r"`(?:python )?((?:benchmarks|scripts)/[\w/.]+)", _prose(page)):
            assert (ROOT / script).exists(), f"{_name(page)}: {script}"


def test_selections_of_the_pages_are_assets(workspace: Workspace, tmp_path: Path) -> None:
    add_corpus(workspace, new_entry(name="mine", kind="folder", root=tmp_path))
    graph = build_definitions(workspace).resolve_asset_graph()
    assets = {key.to_user_string() for key in graph.get_all_asset_keys()}
    stages = {name.removeprefix("mine/") for name in assets if name.startswith("mine/")}
    for page in PAGES:
        for quoted, bare in re.findall(r"--select (?:\"([^\"]+)\"|(\w[\w/]*))", _text(page)):
            for part in (quoted or bare).split():
                name = part.strip("+")
                # The corpus in front is an example.
                known = name in assets or (name.count("/") == 1 and name.split("/")[1] in stages)
                assert known, f"{_name(page)}: --select {part}"


def test_settings_of_the_pages_are_settings() -> None:
    for page in PAGES:
        if page.name == "CHANGELOG.md" or page.parent.name == "decisions":
            continue  # which tell of former ones too
        for name in re.findall(r"`([a-z_0-9]+(?:\.[a-z_0-9]+)+)`", _prose(page)):
            first, *rest = name.split(".")
            if first in Preset.model_fields and rest[-1] not in ("py", "md", "csv", "parquet", "json"):
                model: Any = load_preset("paper")
                for part in (first, *rest):
                    assert isinstance(model, BaseModel) and part in type(model).model_fields, f"{_name(page)}: {name}"
                    model = getattr(model, part)
        for language, block in FENCE.findall(_text(page)):
            if language == "yaml":
                values = yaml.safe_load(block)
                if "speakers" in values:
                    DialogueScript.model_validate(values)
                else:
                    Preset.model_validate({"name": "a page's", **values})


@pytest.mark.parametrize("page", FAMILY_PAGES, ids=lambda page: page.parent.name)
def test_a_familys_page_has_the_one_shape_and_marks_every_other_algorithm(page: Path) -> None:
    section = page.parent.name
    headings = re.findall(r"^## (.+)$", _prose(page), flags=re.MULTILINE)
    assert [h for h in headings if h != "The numbers are the project's own"] == [
        "Files",
        "Settings",
        "Measured",
        "What the paper leaves open",
    ]
    differences = algorithm_differences(load_preset("paper"), load_preset("sample"))
    wanted = {name.removeprefix(f"{section}.") for name in differences if name.startswith(f"{section}.")}
    assert set(re.findall(r"^\| \*\*`([\w.]+)`\*\* \|", _prose(page), flags=re.MULTILINE)) == wanted
    settings: Any = getattr(load_preset("paper"), section)
    for part, name in re.findall(r"`(network|training|sampling)\.(?!(?:py|json)`)(\w+)`", _prose(page)):
        assert name in type(getattr(settings, part)).model_fields, f"{_name(page)}: {part}.{name}"


def test_every_family_has_a_page_and_every_file_in_a_table_of_files_is_there() -> None:
    assert {page.parent.name for page in FAMILY_PAGES} == {
        path.parent.name for path in (ROOT / "magictalk_core/models").glob("*/family.py")
    }
    for page in PAGES:
        if page.is_relative_to(ROOT / "magictalk_core"):
            for cell in re.findall(r"^\| (`\w+\.py`(?:, `\w+\.py`)*) \|", _prose(page), flags=re.MULTILINE):
                for name in re.findall(r"`(\w+\.py)`", cell):
                    shape = page.parent.name == "models" and name != "families.py"
                    folder = page.parent / "sync_expert" if shape else page.parent
                    assert (folder / name).is_file(), f"{_name(page)}: {name}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)\s]+)\)", _prose(page))]
    assert len(links) > 40
    for page, link in links:
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{_name(page)}: {link}"
        if anchor:
            assert anchor in _anchors(target), f"{_name(page)}: {link}"


def test_every_test_that_a_page_names_is_there() -> None:
    named = {(page, *found) for page in PAGES for found in re.findall(r"`(tests/test_\w+\.py)::(\w+)`", _text(page))}
    missing = [
        f"{_name(page)}: {file}::{test}"
        for page, file, test in sorted(named)
        if not (ROOT / file).is_file() or f"def {test}(" not in _text(ROOT / file)
    ]
    assert not missing


def test_every_row_of_the_inputs_names_its_test() -> None:
    forms, _ = _text(ROOT / "docs/inputs.md").split("## The same forms in every command")
    rows = [line for line in forms.splitlines() if line.startswith("| ")]
    bare = [row for row in rows if "::test_" not in row and not row.startswith(("| form |", "| ---"))]
    assert not bare
