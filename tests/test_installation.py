"""What `pip install .` brings: everything that the code imports is declared, and animates from an empty environment."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import venv
from collections.abc import Iterator
from importlib import resources
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from magictalk_core.media.probe import probe
from magictalk_core.models.shipped.base import base_name
from magictalk_core.portrait.provenance import read_provenance

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("magictalk_core", "assets", "pipelines")


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _normal(name: str) -> str:
    return re.split(r"[\[<>=~! ;]", name)[0].lower().replace("_", "-")


_DISTRIBUTIONS = {"psycopg2": ["psycopg2-binary"]}
"""Of modules of extras that are not called like it."""


def test_every_import_is_declared_and_locked() -> None:
    modules = {m for package in PACKAGES for file in (ROOT / package).rglob("*.py") for m in _imported(file)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {_normal(name) for name in project["dependencies"]}
    extras = ("fetch", "mic", "ray", "postgres", "s3")
    optional = {_normal(name) for extra in extras for name in project["optional-dependencies"][extra]}
    lock = {_normal(line) for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines() if line}
    homes = packages_distributions()
    undeclared = {
        module: homes.get(module)
        for module in modules - set(sys.stdlib_module_names) - set(PACKAGES)
        if not {_normal(name) for name in homes.get(module, _DISTRIBUTIONS.get(module, [module.replace("_", "-")]))}
        & (required | optional)
    }
    assert undeclared == {} and required <= lock


def _done(*command: str | Path, **named: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **named)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done


@pytest.mark.slow
def test_an_empty_environment_animates_after_pip_install(tmp_path: Path) -> None:
    """No lock and nothing of this environment; only torch is held to the CPU build, whose newest would bring CUDA."""
    venv.create(tmp_path / "venv", with_pip=True)
    python, magictalk = tmp_path / "venv" / "bin" / "python", tmp_path / "venv" / "bin" / "magictalk"
    (tmp_path / "constraints.txt").write_text("torch==2.13.0\n")
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    source = tmp_path / "source"  # a copy: pip leaves its build folders there
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    install = (python, "-m", "pip", "install", "--quiet", "-c", tmp_path / "constraints.txt", source)
    _done(*install, env=clean, cwd=tmp_path)
    assert "Example: magictalk animate" in _done(magictalk, "animate", "--help", env=clean, cwd=tmp_path).stdout

    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "portrait.png")
    speech = resources.files("magictalk_core.sample_corpus").joinpath("speech/W901-happy-001.ogg").read_bytes()
    (tmp_path / "speech.ogg").write_bytes(speech)
    command = [magictalk, "animate", "--audio", tmp_path / "speech.ogg", "--portrait", tmp_path / "portrait.png"]
    command += ["--style", "happy", "--size", "64", "-o", tmp_path / "out.mp4", "--json"]
    began = time.monotonic()
    done = _done(*command, "--home", tmp_path / "home", env=clean, cwd=tmp_path)
    print(f"first video after {time.monotonic() - began:.1f} s")
    # No model was trained, nothing fetched, and no workspace begun.
    (made,) = json.loads(done.stdout)
    assert (made["model"], made["method"]) == (base_name(), "magictalk") and not (tmp_path / "home").exists()
    assert probe(tmp_path / "out.mp4").has_audio
    assert read_provenance(tmp_path / "out.mp4")["title"] == "out.mp4"
