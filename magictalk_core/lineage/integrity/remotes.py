"""Content by its md5 from the remotes of the workspace's DVC repository: a folder, ssh, s3, whatever DVC reads."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from magictalk_core.errors import TransientError

__all__ = ["Remotes"]


class Remotes:
    """The remotes that `dvc remote list` names; opened when first asked. Files are fetched into `folder`."""

    def __init__(self, home: Path, folder: Path) -> None:
        self._home, self._folder = home, folder
        self._stores: dict[str, Any] | None = None

    def names(self) -> list[str]:
        return list(self._opened())

    def fetch(self, name: str, md5: str) -> Path | None:
        """The content as a file, None where the remote does not have it; its hash is not checked here.

        Raises `TransientError` when the remote cannot be reached.
        """
        store = self._opened()[name]
        # A directory's list is stored under its hash with `.dir`.
        for key in (md5, f"{md5}.dir"):
            try:
                if store.exists(key):
                    target = self._folder / md5
                    store.fs.get_file(store.oid_to_path(key), str(target))
                    return target
            except (OSError, ConnectionError) as error:
                raise TransientError(f"the DVC remote {name}: {error}: is it there and reachable?") from error
        return None

    def _opened(self) -> dict[str, Any]:
        if self._stores is None:
            self._stores = {}
            if (self._home / ".dvc" / "config").is_file():
                # Imported here: DVC takes about a second.
                from dvc.repo import Repo

                with closing(Repo(str(self._home))) as repo:
                    self._stores = {name: repo.cloud.get_remote_odb(name) for name in repo.config["remote"]}
        return self._stores
