"""Which clips a file speaks of, or holds rows of: the question behind every search for what was withdrawn."""

from __future__ import annotations

import bisect
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from magictalk_core.vocabulary.clips import Status

__all__ = ["ClipFinder"]

_PARQUET, _NUMPY = b"PAR1", b"\x93NUMPY"
_CHUNK = 8 << 20
_LONGEST_ID = 3 * 96
"""Bytes of a clip id (`safe_name` cuts every part), so that none is lost between two chunks."""


class ClipFinder:
    """Finds clips by id: in the column `clip_id` of a Parquet table, else as text anywhere in the file.

    Safetensors, JSON, CSV, HTML and the metadata of our videos name clips as plain text. Arrays name nothing: what is
    in them is in the index beside them.
    """

    def __init__(self, clip_ids: Iterable[str]) -> None:
        self.ids = frozenset(clip_ids)
        self._sorted = sorted(self.ids)
        corpora = sorted({re.escape(clip.split("/")[0]) for clip in self.ids})
        part = rb"[A-Za-z0-9._-]+"
        self._token = re.compile(b"(?<![A-Za-z0-9_])(?:" + "|".join(corpora).encode() + b")/" + part + b"/" + part)

    def in_file(self, path: Path) -> frozenset[str]:
        """Ids that the file at `path` names; none where it is gone meanwhile."""
        try:
            with path.open("rb") as file:
                return self.in_stream(file)
        except FileNotFoundError:
            return frozenset()

    def in_stream(self, file: BinaryIO) -> frozenset[str]:
        """As `in_file`, of an opened file that can be read from any place."""
        if not self.ids:
            return frozenset()
        head = file.read(len(_NUMPY))
        file.seek(0)
        if head.startswith(_NUMPY):
            return frozenset()
        return self._in_table(file) if head.startswith(_PARQUET) else self._in_text(file)

    def _in_text(self, file: BinaryIO) -> frozenset[str]:
        found: set[str] = set()
        rest, left = b"", _named_bytes(file)
        while left > 0 and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            text = rest + chunk
            for token in self._token.findall(text):
                name = token.decode()
                # A name in running text may end a sentence.
                found |= {name, name.rstrip(".")} & self.ids
            rest = text[-_LONGEST_ID:]
        return frozenset(found)

    def _in_table(self, file: BinaryIO) -> frozenset[str]:
        try:
            table = pq.ParquetFile(file)
        except pa.ArrowInvalid:
            # Half a file, as a copy that was killed leaves it, may still name somebody.
            file.seek(0)
            return self._in_text(file)
        names = table.schema_arrow.names
        if "clip_id" not in names or not self._may_hold(table.metadata):
            return frozenset()
        # What is left of a withdrawn clip in a table of clips is its name.
        columns = ["clip_id", *(["status"] if "status" in names else [])]
        rows = table.read(columns=columns)
        if "status" in names:
            rows = rows.filter(pc.not_equal(rows["status"].cast(pa.string()), str(Status.WITHDRAWN)))
        return frozenset(rows["clip_id"].unique().to_pylist()) & self.ids

    def _may_hold(self, metadata: Any) -> bool:
        """Whether the range of a row group holds one of the ids: of a cache piece or shard this is the footer alone."""
        column = next(i for i in range(metadata.num_columns) if metadata.schema.column(i).path == "clip_id")
        for group in range(metadata.num_row_groups):
            statistics = metadata.row_group(group).column(column).statistics
            if statistics is None or not statistics.has_min_max:
                return True
            place = bisect.bisect_left(self._sorted, str(statistics.min))
            if place < len(self._sorted) and self._sorted[place] <= str(statistics.max):
                return True
        return False


def _named_bytes(file: BinaryIO) -> int:
    """How much of a file may name anything: of safetensors the header, whose length its first eight bytes say."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(9)
    file.seek(0)
    header = int.from_bytes(head[:8], "little")
    return 8 + header if head[8:] == b"{" and 8 + header <= size else size
