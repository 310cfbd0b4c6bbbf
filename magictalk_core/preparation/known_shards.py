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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from magictalk_core.config import DataSettings
from magictalk_core.storage.atomic import write_text
from magictalk_core.storage.hashes import digest_of
from magictalk_core.storage.remembered import RememberedHashes
from magictalk_core.work.clip_steps import is_incomplete
from magictalk_core.work.provenance import has_record
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
        hashes = RememberedHashes(self.workspace.file_hashes).md5_of(
            [p for each in files.values() for p in each.values()]
        )
        found = {shard: {table: hashes[path] for table, path in each.items()} for shard, each in files.items()}
        return {shard: md5s for shard, md5s in found.items() if md5s == records[shard]["tables"]}

    def remember(self, shard: str, md5s: Mapping[str, str]) -> None:
        """`shard` is finished, with tables of these md5s. With clips whose child crashed it is not: the next run tries
        them again."""
        if any(is_incomplete(path) for path in self._files(shard).values()):
            return
        RememberedHashes(self.workspace.file_hashes).note(
            {self.workspace.shard_table(self.corpus, table, shard): md5 for table, md5 in md5s.items()}
        )
        record: dict[str, Any] = {"work": self.work[shard], "media": self._media(shard), "tables": dict(md5s)}
        record["recorded"] = self._recorded(shard)
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
            and record.get("media") == self._media(shard)
            and record.get("recorded") == self._recorded(shard)
        )
        return record if is_current else None

    def _recorded(self, shard: str) -> list[str]:
        """Tables that have their provenance record: a lost or broken one is written anew."""
        return [table for table, file in self._files(shard).items() if has_record(file)]

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
