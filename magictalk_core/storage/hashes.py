"""Content hashes, and DVC's hash of a directory computed from the hashes of its files.

The same string identifies a dataset in three systems: Dagster's data version of the manifest, the `md5` in `dvc.lock`
and the digest of the MLflow dataset (limited to 36 characters, which `<md5>.dir` fits exactly).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["array_md5", "digest_of", "directory_md5", "file_md5", "file_sha256", "tree_md5"]

_CHUNK = 1 << 20


def _file_hash(path: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def file_md5(path: Path) -> str:
    return _file_hash(path, "md5")


def file_sha256(path: Path) -> str:
    return _file_hash(path, "sha256")


def array_md5(values: NDArray[Any]) -> str:
    """Of the values, their type and their shape."""
    digest = hashlib.md5(f"{values.dtype.str}{values.shape}".encode())
    digest.update(values.tobytes())
    return digest.hexdigest()


def directory_md5(entries: Iterable[tuple[str, str]]) -> str:
    """`<md5>.dir` of (relative posix path, md5) pairs, exactly as DVC 3 computes it."""
    listing = [{"md5": md5, "relpath": path} for path, md5 in sorted(entries)]
    return hashlib.md5(json.dumps(listing, sort_keys=True).encode()).hexdigest() + ".dir"


def tree_md5(root: Path) -> str:
    """`directory_md5` of all files below `root`, read from disk."""
    files = (p for p in root.rglob("*") if p.is_file())
    return directory_md5((p.relative_to(root).as_posix(), file_md5(p)) for p in files)


def digest_of(value: Mapping[str, Any]) -> str:
    """md5 of a JSON-serialisable mapping: the identity of settings and of a unit of work."""
    return hashlib.md5(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
