"""Which shards of a corpus are as their last run left them: asked without opening a clip, a piece or a table.

Beside its tables a finished shard has a record of what it was made from: one digest over its rows of the index and
what the steps read of the settings, the names of its media files, the md5 of its tables. A shard without a record, or
with one that says otherwise, goes the usual way, where every piece is looked at; so a lost record costs time alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from magictalk_core.config import DataSettings
from magictalk_core.preparation.listing import shards_of
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import digest_of, file_md5
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.remembered import RememberedHashes
from magictalk_core.storage.schema import CLIPS
from magictalk_core.work.clip_steps import is_incomplete
from magictalk_core.work.provenance import output_md5, record_path
from magictalk_core.workspace import Workspace

__all__ = ["KnownShards"]

_READ_OF_THE_INDEX = (
    "clip_id", "raw_path", "raw_audio_path", "raw_md5", "raw_audio_md5", "start_s", "end_s",
    "box_x", "box_y", "box_width", "box_height", "reason",
)  # fmt: skip
"""What the shard steps read of a clip's row; labels and gates change none of their results."""


@dataclass(frozen=True)
class KnownShards:
    """The records of one corpus against its index and the settings of now."""

    workspace: Workspace
    corpus: str
    tables: tuple[str, ...]
    work: Mapping[str, str]
    """shard -> digest of what determines its tables now."""
    every: tuple[str, ...] = ()
    """The shards that have a file to read."""

    @classmethod
    def read(cls, workspace: Workspace, corpus: str, preset: DataSettings, tables: Sequence[str]) -> KnownShards:
        """Of the index on disk, whose digests are kept: of hundreds of thousands of clips they take seconds."""
        index, kept = workspace.index_table(corpus), workspace.cache("shards") / f"{corpus}.json"
        key = digest_of({"index": output_md5(index, workspace.home), "settings": _settings(preset)})
        if kept.is_file():
            found = json.loads(kept.read_text(encoding="utf-8"))
            if found["key"] == key:
                return cls(workspace, corpus, tuple(tables), found["work"], tuple(found["every"]))
        rows = read_frame(CLIPS, index, columns=["shard", *_READ_OF_THE_INDEX])
        known = replace(cls.of(workspace, corpus, rows, preset, tables), every=shards_of(rows))
        write_text(kept, json.dumps({"key": key, "work": known.work, "every": known.every}))
        return known

    @classmethod
    def of(
        cls, workspace: Workspace, corpus: str, index: pd.DataFrame, preset: DataSettings, tables: Sequence[str]
    ) -> KnownShards:
        """`index` holds the CLIPS rows of the whole corpus."""
        settings = digest_of(_settings(preset))
        rows = index[list(_READ_OF_THE_INDEX)]
        numbers = pd.util.hash_pandas_object(rows, index=False, categorize=False).to_numpy("<u8")
        places = index.groupby("shard").indices
        work = {
            str(shard): hashlib.md5(settings.encode() + numbers[place].tobytes()).hexdigest()
            for shard, place in places.items()
        }
        return cls(workspace, corpus, tuple(tables), work)

    def unchanged(self, shards: Sequence[str]) -> dict[str, dict[str, str]]:
        """shard -> table -> md5 of those `shards` that need no work."""
        records = {shard: record for shard in shards if (record := self._matching(shard)) is not None}
        files = {shard: self._files(shard) for shard in records}
        written = {shard: self._written_records(shard) for shard in records}
        hashes = RememberedHashes(self.workspace.file_hashes).md5_of(
            [path for place in (files, written) for each in place.values() for path in each.values()]
        )

        def md5s(of: Mapping[str, Path]) -> dict[str, str]:
            return {table: hashes[path] for table, path in of.items()}

        return {
            shard: md5s(files[shard])
            for shard, record in records.items()
            if md5s(files[shard]) == record["tables"] and md5s(written[shard]) == record["recorded"]
        }

    def remember(self, shard: str, md5s: Mapping[str, str]) -> None:
        """`shard` is finished, with tables of these md5s. With clips whose child crashed it is not: the next run tries
        them again."""
        if any(is_incomplete(path) for path in self._files(shard).values()):
            return
        RememberedHashes(self.workspace.file_hashes).note(
            {self.workspace.shard_table(self.corpus, table, shard): md5 for table, md5 in md5s.items()}
        )
        media = {"written_ns": self._media_written(shard), "names": self._media(shard)}
        record: dict[str, Any] = {"work": self.work[shard], "media": media, "tables": dict(md5s)}
        record["recorded"] = {table: file_md5(path) for table, path in self._written_records(shard).items()}
        write_text(self._record(shard), json.dumps(record, indent=1))

    def _record(self, shard: str) -> Path:
        return self.workspace.cache("shards") / self.corpus / f"{shard}.json"

    def _matching(self, shard: str) -> dict[str, Any] | None:
        path = self._record(shard)
        if not path.is_file():
            return None
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        is_current = (
            record.get("work") == self.work.get(shard)
            and set(record.get("tables", ())) == set(self.tables)
            and all(file.is_file() for file in self._files(shard).values())
            and self._has_media(shard, record.get("media"))
        )
        return record if is_current else None

    def _written_records(self, shard: str) -> dict[str, Path]:
        """Table -> its provenance record, where it has one: a lost or broken one is written anew."""
        records = {table: record_path(file) for table, file in self._files(shard).items()}
        return {table: path for table, path in records.items() if path.is_file()}

    def _has_media(self, shard: str, known: Any) -> bool:
        """Whether no media file came or went. The time of the folder says so at once; a copied home has another."""
        if not isinstance(known, dict):
            return False
        return known.get("written_ns") == self._media_written(shard) or known.get("names") == self._media(shard)

    def _media_written(self, shard: str) -> int:
        folder = self.workspace.media(self.corpus, shard)
        return folder.stat().st_mtime_ns if folder.is_dir() else 0

    def _files(self, shard: str) -> dict[str, Path]:
        return {table: self.workspace.shard_table(self.corpus, table, shard) for table in self.tables}

    def _media(self, shard: str) -> str:
        """Names tell content here: a media file is named by the digest of what it is made from."""
        folder = self.workspace.media(self.corpus, shard)
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
        return hashlib.md5("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()


def _settings(preset: DataSettings) -> dict[str, Any]:
    """Settings, versions and weights that the three steps read; limits of the machine are none of them."""
    from magictalk_core.faces.extract import BLENDSHAPES_VERSION
    from magictalk_core.faces.tracker_ids import tracker_id, tracker_weights
    from magictalk_core.media.standardize import STANDARDIZE_VERSION
    from magictalk_core.preparation.shards import media_settings
    from magictalk_core.speech.features import FEATURES, feature_weights

    tracker, feature = tracker_id(preset.faces.tracker), FEATURES[preset.speech.feature]
    return {
        "media": media_settings(preset.media),
        "blendshapes": {"tracker": tracker, "weights": tracker_weights(tracker)},
        "speech": {"feature": feature.id, "version": feature.version, "weights": feature_weights(feature.id)},
        "versions": [STANDARDIZE_VERSION, BLENDSHAPES_VERSION],
    }
