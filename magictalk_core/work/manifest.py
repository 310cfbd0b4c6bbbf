"""The manifest of a corpus: one digest for all its shards, equal to the hash that DVC gives the same directory.

It is the only link between shards and anything trained: Dagster forgets individual upstream versions at 100
partitions, and a manifest does not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import write_if_changed
from magictalk_core.storage.hashes import directory_md5, file_md5
from magictalk_core.storage.remembered import RememberedHashes
from magictalk_core.work.provenance import Input, input_of, record_path
from magictalk_core.workspace import Workspace

__all__ = ["Manifest", "build_manifest", "manifest_inputs", "manifests_of", "parse_manifest", "read_manifest"]


@dataclass(frozen=True)
class Manifest:
    """Sorted (relative path, md5) of every file of a dataset directory, and the digest over them."""

    digest: str
    entries: tuple[tuple[str, str], ...]


def build_manifest(
    dataset: Path, out: Path, expected: set[str] | None = None, hashes: RememberedHashes | None = None
) -> Manifest:
    """Hash the files of `dataset`, by `hashes` only those that changed, and write the manifest to `out`.

    With `expected`, the relative paths that must be there, files of shards that no longer exist are removed and missing
    ones are an error: what a manifest names is exactly what the index asked for.
    """
    files = {p.relative_to(dataset).as_posix(): p for p in dataset.rglob("*") if p.is_file()}
    if expected is not None:
        missing = sorted(expected - set(files))
        if missing:
            raise PermanentError(
                f"{dataset}: {len(missing)} shard files are missing, first {missing[0]}: materialize that shard first"
            )
        for name in sorted(set(files) - expected):
            gone = files.pop(name)
            gone.unlink()
            record_path(gone).unlink(missing_ok=True)
    md5s = hashes.md5_of(list(files.values())) if hashes else {path: file_md5(path) for path in files.values()}
    entries = tuple(sorted((name, md5s[path]) for name, path in files.items()))
    manifest = Manifest(directory_md5(entries), entries)
    listing = [{"relpath": name, "md5": md5} for name, md5 in entries]
    write_if_changed(out, json.dumps({"digest": manifest.digest, "files": listing}, indent=1))
    return manifest


def read_manifest(path: Path) -> Manifest:
    if not path.is_file():
        raise PermanentError(f"no manifest at {path}: materialize the manifest of this corpus first (`magictalk run`)")
    return parse_manifest(path.read_text(encoding="utf-8"))


def manifests_of(workspace: Workspace) -> dict[str, Path]:
    """Corpus -> its manifest, where it has one; their provenance records lie hidden beside them."""
    found = workspace.home.glob("manifests/*.json")
    return {path.stem: path for path in sorted(found) if not path.name.startswith(".")}


def parse_manifest(text: str) -> Manifest:
    """The content of a manifest's file."""
    values = json.loads(text)
    return Manifest(values["digest"], tuple((f["relpath"], f["md5"]) for f in values["files"]))


def manifest_inputs(workspace: Workspace, corpora: Sequence[str]) -> tuple[Input, ...]:
    """The manifests of corpora as inputs of work, by the digest over their datasets."""
    paths = [workspace.manifest(corpus) for corpus in corpora]
    return tuple(input_of(workspace.home, "manifest", path, read_manifest(path).digest) for path in paths)
