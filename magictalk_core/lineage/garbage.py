"""What a workspace holds and nothing needs any more: it is listed, and removed when asked to.

Needed are the pieces that the lists of current shards name, the media that current media tables or those of a snapshot
in the history name, and every object of DVC's cache that the history of `dvc.lock` reaches. Pieces of former settings
are made again should they be wanted. What is young stays: an interrupted run has pieces that no shard lists yet.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magictalk_core.errors import PermanentError, TransientError
from magictalk_core.lineage.integrity.places import TEMPORARY, files_of_workspace, is_piece
from magictalk_core.lineage.integrity.sources import DVC_FILES
from magictalk_core.storage.locks import held_or_refused
from magictalk_core.storage.parquet import read_table, table_metadata
from magictalk_core.storage.schema import MEDIA
from magictalk_core.work.pieces import read_piece_list
from magictalk_core.workspace import Workspace

__all__ = ["Unneeded", "collect_garbage", "find_garbage"]

_DAY_S = 86_400


@dataclass(frozen=True)
class Unneeded:
    """A file that nothing needs. `kind`: piece, piece list, media, dvc or temporary."""

    kind: str
    path: Path
    bytes: int


def collect_garbage(workspace: Workspace, days: float, delete: bool) -> list[Unneeded]:
    """The unneeded files older than `days`, sorted; removed with `delete`, while nothing else runs in the workspace.

    Raises `UserError` while a run works there, `PermanentError` where a list or a table that names what is needed
    cannot be read: nothing is removed then.
    """
    with held_or_refused(workspace.run_lock, f"the workspace {workspace.home}"):
        found = find_garbage(workspace, days)
        if delete:
            for unneeded in found:
                unneeded.path.unlink()
                _remove_empty(unneeded.path.parent, workspace.home)
    return found


def find_garbage(workspace: Workspace, days: float) -> list[Unneeded]:
    newest = time.time() - days * _DAY_S
    objects: set[str] = set()
    found = [*_pieces(workspace)]
    if (workspace.home / ".dvc" / "config").is_file():
        objects = _needed_objects(workspace.home)
        found += _dvc_objects(workspace.home, objects)
    found += _media(workspace, objects)
    found += [("temporary", path) for path in _temporary(workspace)]
    old = [(kind, path, path.stat()) for kind, path in found]
    unneeded = [Unneeded(kind, path, status.st_size) for kind, path, status in old if status.st_mtime <= newest]
    return sorted(unneeded, key=lambda one: (one.kind, one.path))


def _pieces(workspace: Workspace) -> Iterator[tuple[str, Path]]:
    needed: set[Path] = set()
    # Shards of a former release left no list: the pieces of such a step are not judged.
    unlisted = {
        path.parent.name
        for path in workspace.corpora.glob("*/dataset/*/*.parquet")
        if not workspace.piece_list(path.parents[2].name, path.parent.name, path.stem).is_file()
    }
    for path in workspace.corpora.glob("*/pieces/*/*.json"):
        table = path.parent.name
        if workspace.shard_table(path.parents[2].name, table, path.stem).is_file():
            needed |= {workspace.cache(table) / piece.file for piece in read_piece_list(path)}
        else:
            yield "piece list", path
    for path in (workspace.home / "cache").rglob("*"):
        is_judged = is_piece(path.relative_to(workspace.home).as_posix()) and path.parts[-3] not in unlisted
        if is_judged and path not in needed and path.is_file():
            yield "piece", path


def _media(workspace: Workspace, objects: set[str]) -> Iterator[tuple[str, Path]]:
    """Media files that no table names; a corpus without a table of a shard that has media is not finished."""
    for corpus in sorted(path.parent for path in workspace.corpora.glob("*/media")):
        tables = list((corpus / "dataset" / "media").glob("*.parquet"))
        cached = [workspace.home / DVC_FILES / md5[:2] / md5[2:] for md5 in objects if not md5.endswith(".dir")]
        tables += [path for path in cached if path.is_file() and _is_media_table(path)]
        needed = {corpus / file for table in tables for file in _files_named(table)}
        for path in (corpus / "media").rglob("*"):
            if path.is_file() and path not in needed and not path.name.startswith(TEMPORARY):
                yield "media", path


def _is_media_table(path: Path) -> bool:
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            return False
    return table_metadata(path).get("magictalk.table") == MEDIA.name


def _files_named(table: Path) -> set[str]:
    rows = read_table(MEDIA, table, ["video_path", "audio_path"]).to_pydict()
    return {file for files in rows.values() for file in files if file is not None}


def _dvc_objects(home: Path, objects: set[str]) -> Iterator[tuple[str, Path]]:
    root = home / DVC_FILES
    for path in root.rglob("*") if root.is_dir() else ():
        if path.is_file() and "".join(path.relative_to(root).parts) not in objects:
            yield "dvc", path


def _needed_objects(home: Path) -> set[str]:
    """Hashes of the objects that `dvc.lock` or a former one in the history reaches."""
    # Imported here: DVC takes about a second.
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    try:
        with _quiet_dvc(), closing(Repo(str(home))) as repo, repo.lock:
            used: dict[Any, set[Any]] = repo.used_objs(all_commits=True)
    except LockError as error:
        raise TransientError(f"{home}: another DVC command holds it; wait until it ends") from error
    except DvcException as error:
        raise PermanentError(f"{home}: DVC cannot say what is needed, nothing was removed: {error}") from error
    return {info.value for objects in used.values() for info in objects}


@contextmanager
def _quiet_dvc() -> Iterator[None]:
    """Without its warnings of every stage that was never recorded: those have nothing in the cache."""
    log = logging.getLogger("dvc")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _temporary(workspace: Workspace) -> Iterator[Path]:
    for place in files_of_workspace(workspace.home, set()):
        if place.is_temporary:
            yield from (path for path in [place.path, *place.path.rglob("*")] if path.is_file())


def _remove_empty(folder: Path, home: Path) -> None:
    while folder != home and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
