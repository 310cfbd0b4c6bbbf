"""DVC's cache and remotes as a heap of objects by md5: which of them hold certain clips, and taking those out.

DVC itself removes what no snapshot needs; a purge removes what a snapshot does need, so it works on the objects. A
directory is an object too, a list of names and hashes: it stays, and tells which snapshots lack what.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from magictalk_core.errors import TransientError
from magictalk_core.lineage.content import ClipFinder

__all__ = ["DvcObjects", "Store"]

_ARRAYS = ("states.npy", "features.npy", "left_out.csv", "sync_gate.csv")
"""Of a packed training set, whose `index.parquet` says what is in them."""


@dataclass
class Store:
    """The cache, or a remote: `database` is DVC's own object for it, on any file system that DVC knows."""

    name: str
    database: Any

    def md5s(self) -> list[str]:
        """Of all objects; none where nothing was ever put there."""
        try:
            return sorted(self.database.all())
        except FileNotFoundError:
            return []

    @contextmanager
    def opened(self, md5: str) -> Iterator[Any]:
        with self.database.fs.open(self.database.oid_to_path(md5), "rb") as file:
            yield file

    def remove(self, md5: str) -> None:
        path = self.database.oid_to_path(md5)
        if self.database.fs.exists(path):
            self.database.fs.remove(path)


class DvcObjects:
    """The objects of the DVC repository at `root`. A root that is no repository has none."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verdicts: dict[str, bool] = {}

    @contextmanager
    def stores(self) -> Iterator[list[Store]]:
        """The cache and all remotes, opened."""
        if not (self.root / ".dvc").is_dir():
            yield []
            return
        # Imported here: DVC takes about a second.
        from dvc.repo import Repo

        repo = Repo(str(self.root))
        try:
            stores = [Store("cache", repo.cache.local)]
            stores += [
                Store(f"remote {name}", repo.cloud.get_remote(name).odb) for name in sorted(repo.config["remote"])
            ]
            yield stores
        finally:
            repo.close()

    def holding(self, store: Store, finder: ClipFinder, hashes: frozenset[str]) -> dict[str, str]:
        """md5 -> file name, of the objects of a store that hold the finder's clips or are one of `hashes`.

        An object is looked at once, wherever it lies: the same md5 is the same content.
        Raises `TransientError` where the store does not answer.
        """
        try:
            md5s = store.md5s()
            listings = {md5: _listing(store, md5) for md5 in md5s if md5.endswith(".dir")}
            for md5 in md5s:
                if md5 not in self._verdicts and md5 not in listings:
                    with store.opened(md5) as file:
                        self._verdicts[md5] = md5 in hashes or bool(finder.in_stream(file))
        except OSError as error:
            raise TransientError(f"DVC {store.name} of {self.root}: {error}: try again when it answers") from error
        names = {one: name for files in listings.values() for name, one in files.items()}
        held = {md5 for md5 in md5s if self._verdicts.get(md5)}
        for files in listings.values():
            held |= {md5 for md5 in self._arrays(files) if md5 in set(md5s)}
        return {md5: names.get(md5, "a single file") for md5 in sorted(held)}

    def _arrays(self, files: Mapping[str, str]) -> Iterator[str]:
        """Arrays whose index holds the clips. Where the index is gone already its arrays went with it."""
        for name, md5 in files.items():
            path = PurePosixPath(name)
            if path.name == "index.parquet" and self._verdicts.get(md5):
                beside = (str(path.with_name(array)) for array in _ARRAYS)
                yield from (files[one] for one in beside if one in files)


def _listing(store: Store, md5: str) -> dict[str, str]:
    with store.opened(md5) as file:
        return {one["relpath"]: one["md5"] for one in json.loads(file.read())}
