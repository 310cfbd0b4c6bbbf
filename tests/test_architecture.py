"""The floors of the house: an import that goes up, a circle of files or a room without a floor fails `lint-imports`.

And `docs/architecture.md`, which describes them: every room and every function that it names is there.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINTER = Path(sys.executable).parent / "lint-imports"
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
STEP = re.compile(r"`([\w/]+\.py):([\w.]+)`")

BAD_IMPORTS = {
    "magictalk_core/storage/atomic.py": "import magictalk_core.report.report",
    "magictalk_core/media/audio.py": "def f():\n    from magictalk_core.commands import convert",
    "magictalk_core/speech/logmel.py": "import magictalk_core.faces.mesh",
    "magictalk_core/commands/convert.py": "import assets.corpus",
    "magictalk_core/work/provenance.py": "import magictalk_core.work.manifest",
}
TOLD = (
    "magictalk_core.storage is not allowed to import magictalk_core.report",
    "magictalk_core.media is not allowed to import magictalk_core.commands",
    "magictalk_core.speech is not allowed to import magictalk_core.faces",
    "magictalk_core is not allowed to import assets",
    "No cycles are allowed in magictalk_core.work",
    "The following modules are not listed as layers",
    "helpers",
)


def _lint(house: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(house), "COLUMNS": "200"}
    command = [LINTER, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=house, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages, code only."""
    copy = tmp_path_factory.mktemp("house")
    for package in ("magictalk_core", "assets", "pipelines"):
        data = shutil.ignore_patterns("*.npz", "*.npy", "*.safetensors", "*.ogg", "__pycache__")
        shutil.copytree(ROOT / package, copy / package, ignore=data)
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def test_bad_imports_a_circle_and_a_room_without_a_floor_are_told(house: Path) -> None:
    before = _lint(house)
    assert before.returncode == 0, before.stdout
    for file, line in BAD_IMPORTS.items():
        with (house / file).open("a", encoding="utf-8") as module:
            module.write(line + "\n")
    (house / "magictalk_core/helpers").mkdir()
    (house / "magictalk_core/helpers/__init__.py").touch()
    found = _lint(house)
    assert found.returncode == 1
    assert not [message for message in TOLD if message not in found.stdout], found.stdout


def _floors() -> dict[str, int]:
    """Room -> its floor from the top, as `pyproject.toml` has it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(c["layers"] for c in contracts["contracts"] if c["name"] == "floors of magictalk_core")
    rooms = {room.strip(" ()"): number for number, layer in enumerate(layers) for room in layer.split("|")}
    return {"pipelines": -2, "assets": -1, **rooms}


def _file(path: str) -> Path:
    return ROOT / path if path.startswith(("assets/", "pipelines/")) else ROOT / "magictalk_core" / path


def _definitions(body: list[ast.stmt], holder: str = "") -> set[str]:
    """Functions and classes of a file, members as `Holder.member`."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(holder + node.name)
            if isinstance(node, ast.ClassDef):
                found |= _definitions(node.body, f"{holder}{node.name}.")
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def test_the_page_names_functions_that_are_there() -> None:
    steps = STEP.findall(PAGE)
    assert len(steps) > 80
    for path, name in steps:
        assert _file(path).is_file(), f"docs/architecture.md names {path}, which is not there"
        names = _definitions(ast.parse(_file(path).read_text(encoding="utf-8")).body)
        assert name in names, f"docs/architecture.md names {path}:{name}, which is not there"


def test_the_page_names_every_room_on_its_floor() -> None:
    table = re.findall(r"^\| *(\d*) *\| `(\w+)(?:/|\.py)` \| \S", PAGE, flags=re.MULTILINE)
    floor, named = 0, {}
    for number, room in table:
        floor = int(number or floor)
        named[room] = floor
    rooms = {room: number + 1 for room, number in _floors().items() if number >= 0}
    assert named == {"pipelines": 0, "assets": 0, **rooms}
    there = {p.stem for p in (ROOT / "magictalk_core").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert there - {"__init__"} == set(rooms)


def test_a_clip_goes_down_through_the_rooms_of_a_stage_and_enters_none_twice() -> None:
    floors, stages = _floors(), [line for line in PAGE.splitlines() if " → `" in line]
    assert len(stages) == 20
    for line in stages:
        rooms = [room for room, _ in groupby(path.split("/")[0] for path, _ in STEP.findall(line))]
        assert len(rooms) == len(set(rooms)), f"a room is entered twice: {line}"
        assert [floors[room] for room in rooms] == sorted(floors[room] for room in rooms), f"the way goes up: {line}"
