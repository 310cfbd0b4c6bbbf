"""The clips of all corpora as the indexes list them, with the raw files that they are cut from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from magictalk_core.corpora.registry import list_corpora
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIPS, MEDIA
from magictalk_core.workspace import Workspace

__all__ = ["ClipIndex", "RawFile"]

_COLUMNS = (
    "clip_id", "corpus", "shard", "speaker", "source", "split", "licence",
    "raw_path", "raw_md5", "raw_audio_path", "raw_audio_md5",
)  # fmt: skip


@dataclass(frozen=True)
class RawFile:
    """A file that clips are cut from; `path` relative to the folder of its corpus."""

    corpus: str
    path: str
    md5: str


@dataclass(frozen=True, eq=False)
class ClipIndex:
    """Columns of the CLIPS tables, read when they are first asked for."""

    workspace: Workspace

    @cached_property
    def rows(self) -> pd.DataFrame:
        tables = [self.workspace.index_table(entry.name) for entry in list_corpora(self.workspace)]
        frames = [read_frame(CLIPS, path, columns=list(_COLUMNS)) for path in tables if path.is_file()]
        found = pd.concat(frames, ignore_index=True) if frames else CLIPS.schema().empty_table().to_pandas()
        return found[list(_COLUMNS)]

    def of_ids(self, clip_ids: Iterable[str]) -> pd.DataFrame:
        return self.rows[self.rows["clip_id"].isin(list(clip_ids))]

    def of_hash(self, md5: str) -> pd.DataFrame:
        """The clips cut from raw files of that md5."""
        return self.rows[(self.rows["raw_md5"] == md5) | (self.rows["raw_audio_md5"] == md5)]

    def of_path(self, path: str) -> pd.DataFrame:
        """The clips cut from the raw file at a path relative to its corpus."""
        return self.rows[(self.rows["raw_path"] == path) | (self.rows["raw_audio_path"] == path)]

    def raw_files(self, rows: pd.DataFrame) -> list[RawFile]:
        """The raw files of clips, each once."""
        found: dict[tuple[str, str], RawFile] = {}
        for kind in ("raw", "raw_audio"):
            there = rows[rows[f"{kind}_md5"].notna()]
            columns = zip(there["corpus"], there[f"{kind}_path"], there[f"{kind}_md5"], strict=True)
            found |= {(str(c), str(p)): RawFile(str(c), str(p), str(m)) for c, p, m in columns}
        return [found[key] for key in sorted(found)]

    def of_media(self, name: str) -> str | None:
        """The clip whose standardized file this is; `name` as `corpora/<c>/media/<shard>/<file>`."""
        parts = Path(name).parts
        if len(parts) != 5 or parts[0] != "corpora" or parts[2] != "media":
            return None
        table = self.workspace.shard_table(parts[1], "media", parts[3])
        if not table.is_file():
            return None
        path = "/".join(parts[2:])
        rows = read_frame(MEDIA, table, columns=["clip_id", "video_path", "audio_path"])
        found: Sequence[str] = rows["clip_id"][(rows["video_path"] == path) | (rows["audio_path"] == path)].tolist()
        return str(found[0]) if found else None
