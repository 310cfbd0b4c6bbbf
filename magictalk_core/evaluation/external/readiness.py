"""Whether a system can run: what is missing, each with where it comes from; and what it is, by content."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from magictalk_core.config import ExternalConfig
from magictalk_core.evaluation.external.system import ExternalSystem
from magictalk_core.storage.hashes import digest_of, directory_md5
from magictalk_core.storage.remembered import RememberedHashes

__all__ = ["Build", "build_of", "lacking"]

_CODE = frozenset({".py", ".yaml", ".yml", ".json", ".sh", ".txt"})
_LARGEST_CODE = 2_000_000


@dataclass(frozen=True)
class Build:
    """Which one of a system's versions it is: the commit of the checkout (None: no Git repository), md5 over its code
    as it lies there, edits included, and md5 of each needed file."""

    commit: str | None
    code_md5: str
    files: dict[str, str]

    @property
    def digest(self) -> str:
        return digest_of({"code": self.code_md5, "files": self.files})


def lacking(system: ExternalSystem, config: ExternalConfig) -> tuple[str, ...]:
    """What is missing for a run, one thing a line; empty where it can run."""
    checkout, python = config.checkout, config.python
    if checkout is None or python is None:
        return ("checkout and python: neither is configured",)
    if not checkout.is_dir():
        return (f"checkout: no folder {checkout}: git clone {system.repository} {checkout}",)
    found = []
    if not (checkout / system.main_file).is_file():
        found.append(f"checkout: {checkout} has no {system.main_file}: it is no clone of {system.repository}")
    for one in system.needs:
        if not (checkout / one.path).exists():
            found.append(f"weights: {checkout / one.path} is not there: {one.address}")
    if not (python.is_file() and os.access(python, os.X_OK)):
        found.append(f"python: {python} is no program: make the system's environment (docs/compare.md)")
    if system.needs_fit and not config.fit:
        found.append("fit: no command is configured, and the public code has none (docs/compare.md)")
    return tuple(found)


def build_of(system: ExternalSystem, checkout: Path, hashes: RememberedHashes) -> Build:
    """The content of a checkout that lacks nothing; large files are read once."""
    own = tuple(checkout / name for name in system.own)
    code = [
        path
        for path in sorted(checkout.rglob("*"))
        if path.suffix in _CODE
        and path.is_file()
        and ".git" not in path.parts
        and not any(path.is_relative_to(folder) for folder in own)
        and path.stat().st_size <= _LARGEST_CODE
    ]
    needed = [
        file
        for one in system.needs
        for file in ([checkout / one.path] if (checkout / one.path).is_file() else _files_in(checkout / one.path))
    ]
    md5s = hashes.md5_of([*code, *needed])
    code_md5 = directory_md5((path.relative_to(checkout).as_posix(), md5s[path]) for path in code)
    return Build(_commit(checkout), code_md5, {p.relative_to(checkout).as_posix(): md5s[p] for p in needed})


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _commit(checkout: Path) -> str | None:
    # Imported here: it takes a while, and most that ask what is missing do not run anything.
    from dulwich.errors import NotGitRepository
    from dulwich.repo import Repo

    try:
        with Repo(str(checkout)) as repository:
            return repository.head().decode()
    except (NotGitRepository, KeyError):
        return None
