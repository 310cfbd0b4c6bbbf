"""What lies in a corpus's folders and was not looked at yet: by size and time alone, so that asking costs little."""

from __future__ import annotations

from dataclasses import dataclass

from magictalk_core.corpora.kinds import kind_of
from magictalk_core.corpora.raw_files import RawFile, scan_corpus
from magictalk_core.corpora.registry import load_corpus
from magictalk_core.errors import PermanentError
from magictalk_core.storage.hashes import digest_of
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import SOURCE
from magictalk_core.workspace import Workspace

__all__ = ["RawChanges", "raw_changes"]


@dataclass(frozen=True)
class RawChanges:
    """Files that are new or written again, files that are gone, and the bytes of the first kind.

    `known_bytes` are those of the listing. `digest` names this state of the folders.
    """

    new: int
    gone: int
    new_bytes: int
    known_bytes: int
    digest: str

    @property
    def is_any(self) -> bool:
        return bool(self.new or self.gone)

    def __str__(self) -> str:
        return f"{self.new} new or changed raw files, {self.gone} gone"


def raw_changes(workspace: Workspace, corpus: str) -> RawChanges:
    """The folders of `corpus` against its listing. Raises `PermanentError` where its folder is not there."""
    entry = load_corpus(workspace, corpus)
    if not entry.root.is_dir():
        raise PermanentError(f"corpus `{corpus}`: its folder {entry.root} is not there: is the disk mounted?")
    listed, _ = scan_corpus(entry.root, workspace.local_media(corpus), kind_of(entry).suffixes)
    here, known = set(listed), _listing(workspace, corpus)
    new = here - known
    gone = {file.path for file in known} - {file.path for file in here}
    digest = digest_of({"new": sorted(new), "gone": sorted(gone)})
    return RawChanges(len(new), len(gone), sum(f.bytes for f in new), sum(f.bytes for f in known), digest)


def _listing(workspace: Workspace, corpus: str) -> set[RawFile]:
    table = workspace.source_table(corpus)
    if not table.is_file():
        return set()
    found = read_frame(SOURCE, table, columns=["path", "bytes", "mtime_ns"])
    rows = zip(found["path"], found["bytes"].tolist(), found["mtime_ns"].tolist(), strict=True)
    return {RawFile(str(path), size, time) for path, size, time in rows}
