"""The floors of the house: an import that goes up, a circle of files or a room without a floor fails `lint-imports`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINTER = Path(sys.executable).parent / "lint-imports"

BAD_IMPORTS = {
    "magictalk_core/storage/atomic.py": "import magictalk_core.report.report",
    "magictalk_core/media/audio.py": "def f():\n    from magictalk_core.commands import convert",
    "magictalk_core/speech/logmel.py": "import magictalk_core.faces.mesh",
    "magictalk_core/commands/convert.py": "import assets.corpus",
    "magictalk_core/work/stamps.py": "import magictalk_core.work.manifest",
    "magictalk_core/work/manifest.py": "import magictalk_core.work.stamps",
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
