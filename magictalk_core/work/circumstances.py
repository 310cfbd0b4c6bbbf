"""How work is done: with this code, the workspace's preset, in a Dagster run. None is part of the identity of work.

The asset layer says the run by `in_dagster_run`, so that nothing here knows Dagster.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import yaml

import magictalk_core
from magictalk_core.config import StrictModel
from magictalk_core.errors import PermanentError
from magictalk_core.storage.hashes import digest_of

__all__ = ["CodeUsed", "PresetUsed", "code_used", "current_dagster_run", "in_dagster_run", "preset_used"]

_GIT_TIMEOUT_S = 10.0

_dagster_run: ContextVar[str | None] = ContextVar("dagster_run", default=None)


class CodeUsed(StrictModel):
    """The release, and where it runs from a Git checkout its commit; `dirty`: with changes that no commit has."""

    version: str
    commit: str | None = None
    dirty: bool = False


class PresetUsed(StrictModel):
    """The preset of the workspace: `digest` is over all its resolved values."""

    name: str
    digest: str


@contextmanager
def in_dagster_run(run_id: str | None) -> Iterator[None]:
    """Records written inside name this run."""
    token = _dagster_run.set(run_id)
    try:
        yield
    finally:
        _dagster_run.reset(token)


def current_dagster_run() -> str | None:
    return _dagster_run.get()


@functools.cache
def code_used() -> CodeUsed:
    """Of this process; asked once."""
    root = Path(magictalk_core.__file__).resolve().parents[1]
    version = magictalk_core.__version__
    if not (root / ".git").exists():
        return CodeUsed(version=version)
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return CodeUsed(version=version)
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return CodeUsed(version=version, commit=commit, dirty=bool(changed))


def _git(root: Path, *arguments: str) -> str | None:
    """What Git says; None where it is not installed or knows no commit here."""
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def preset_used(home: Path) -> PresetUsed | None:
    """What the workspace's `preset.yaml` says; None where no run has spelled one out."""
    path = home / "preset.yaml"
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return _preset_of(path, state.st_ino, state.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _preset_of(path: Path, inode: int, time_ns: int) -> PresetUsed:
    """The file is written anew or not at all, so that inode and time stand for its content."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PermanentError(f"{path}: no YAML: {' '.join(str(error).split())}: remove it, then run again") from error
    if not isinstance(values, dict) or not isinstance(values.get("name"), str):
        raise PermanentError(f"{path}: no preset: expected settings with a name: remove it, then run again")
    return PresetUsed(name=values["name"], digest=digest_of(values))
