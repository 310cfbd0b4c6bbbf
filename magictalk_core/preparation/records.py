"""Provenance of what a corpus's preparation leaves: which work made each table, and from which hashes.

A shard depends on its own rows of the index only, and only on the columns that standardizing reads: that is a part of
the index with a digest of its own, so that a clip that changes makes nothing stale but its own shard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from magictalk_core.corpora.registry import load_corpus
from magictalk_core.storage.remembered import RememberedHashes
from magictalk_core.storage.schema import CLIPS, SOURCE
from magictalk_core.vocabulary.clips import Reason
from magictalk_core.work.manifest import Manifest, manifest_inputs
from magictalk_core.work.provenance import Input, Weights, Work, input_of, record_of
from magictalk_core.workspace import Workspace

__all__ = [
    "SHARD_TABLES",
    "WORTH_DECODING",
    "clip_ids_of",
    "clips_work",
    "index_parts",
    "index_work",
    "media_work",
    "record_manifest",
    "record_snapshot",
    "record_source",
    "table_work",
    "weights_of_text",
]

SHARD_TABLES = ("media", "blendshapes", "speech")
WORTH_DECODING = frozenset({None, Reason.NO_AUDIO, Reason.TOO_SHORT})
"""What the index may hold against a clip that still gets media and blendshapes. The rest is not read at all: it cannot
be decoded, is not here, or would take long."""

_MEDIA_READS = (
    "clip_id", "raw_md5", "raw_audio_md5", "start_s", "end_s", "box_x", "box_y", "box_width", "box_height",
)  # fmt: skip

SOURCE_WORK = f"1.{SOURCE.version}"
CLIPS_WORK = f"1.{CLIPS.version}"
MANIFEST_WORK = SNAPSHOT_WORK = "1"


def _registration(workspace: Workspace, corpus: str) -> list[Input]:
    """What a person said of the corpus, as files."""
    entry = load_corpus(workspace, corpus)
    found = [input_of(workspace.home, "registration", workspace.corpus_file(corpus))]
    if entry.labels and entry.labels.is_file():
        found.append(input_of(workspace.home, "labels", entry.labels))
    return found


def record_source(workspace: Workspace, corpus: str, version: str) -> None:
    """Of the listing, which changes by content alone; the table beside it has also the times of the raw files."""
    path = workspace.listing(corpus)
    work = Work(workspace.home, "source", path, SOURCE_WORK, _registration(workspace, corpus))
    record = work.made()
    if record is None or record.digests.get("dagster") != version or record.inputs != tuple(work.inputs):
        work.record(beside=[workspace.source_table(corpus)], digests={"dagster": version})


def index_work(workspace: Workspace, corpus: str, version: str, settings: Mapping[str, Any], digest: str) -> Work:
    """`digest`: the identity that the table itself carries."""
    listing = input_of(workspace.home, "source", workspace.listing(corpus))
    inputs = (listing, *_registration(workspace, corpus))
    return Work(workspace.home, "index", workspace.index_table(corpus), version, inputs, settings, digest)


def index_parts(index: pd.DataFrame) -> dict[str, str]:
    """Shard -> digest of what its media are made from: which clips, of which raw files, cut where."""
    worth = index["reason"].isna() | index["reason"].isin([reason for reason in WORTH_DECODING if reason])
    rows = index.loc[worth, ["shard", *_MEDIA_READS]].sort_values("clip_id")
    cells = [column.astype(object).where(column.notna(), None).map(repr) for _, column in rows[[*_MEDIA_READS]].items()]
    digests: dict[str, Any] = {str(shard): hashlib.md5() for shard in sorted(index["shard"].unique())}
    for shard, *values in zip(rows["shard"], *cells, strict=True):
        digests[str(shard)].update("\t".join(values).encode() + b"\n")
    return {shard: digest.hexdigest() for shard, digest in digests.items()}


def clip_ids_of(table: Path) -> list[str]:
    """The ids in a CLIPS table, or in another with that column."""
    return list(map(str, pq.read_table(table, columns=["clip_id"])["clip_id"].unique().to_pylist()))


def media_work(workspace: Workspace, corpus: str, shard: str, version: str, settings: Any, digest: str) -> Work:
    path, record = workspace.index_table(corpus), record_of(workspace.index_table(corpus))
    part = None if record is None or shard not in record.digests else (shard, record.digests[shard])
    index = input_of(workspace.home, "index", path, None if record is None else record.md5, part)
    table = workspace.shard_table(corpus, "media", shard)
    return Work(workspace.home, "media", table, version, (index,), settings, digest)


def table_work(
    workspace: Workspace, corpus: str, table: str, shard: str, version: str, settings: Mapping[str, Any], digest: str
) -> Work:
    """Of the blendshapes or the speech of a shard."""
    media = input_of(workspace.home, "media", workspace.shard_table(corpus, "media", shard), is_recorded=True)
    return Work(workspace.home, table, workspace.shard_table(corpus, table, shard), version, (media,), settings, digest)


def weights_of_text(text: str) -> list[Weights]:
    """`<file> sha256:<digest>, ...` as the metadata of a table name them."""
    pairs = [one.split(" sha256:") for one in text.split(", ") if " sha256:" in one]
    return [Weights(name=name, sha256=sha256) for name, sha256 in pairs]


def clips_work(workspace: Workspace, corpus: str, shards: Sequence[str], settings: Mapping[str, Any]) -> Work:
    home, index = workspace.home, workspace.index_table(corpus)
    tables = [(table, workspace.shard_table(corpus, table, shard)) for table in SHARD_TABLES for shard in shards]
    md5s = RememberedHashes(workspace.file_hashes).md5_of([path for _, path in tables if path.is_file()])
    inputs = (
        input_of(home, "index", index),
        # A shard that was not made is told by whoever reads it.
        *(input_of(home, table, path, md5s[path]) for table, path in tables if path in md5s),
    )
    return Work(home, "clips", workspace.clips_table(corpus), CLIPS_WORK, inputs, settings)


def record_manifest(workspace: Workspace, corpus: str, manifest: Manifest) -> None:
    """By the digest of the dataset, the one number that DVC and MLflow know it by as well."""
    dataset, path = workspace.dataset(corpus), workspace.manifest(corpus)
    inputs = [
        input_of(workspace.home, name.split("/")[0].removesuffix(".parquet"), dataset / name, md5)
        for name, md5 in manifest.entries
    ]
    work = Work(workspace.home, "manifest", path, MANIFEST_WORK, inputs)
    if not work.is_recorded(manifest.digest):
        work.record(md5=manifest.digest, clips=clip_ids_of(workspace.clips_table(corpus)))


def record_snapshot(workspace: Workspace, corpus: str, locked: str) -> None:
    """Of the dataset as DVC has recorded it, by the `<md5>.dir` in `dvc.lock`; its files are those of the manifest."""
    inputs = manifest_inputs(workspace, [corpus])
    work = Work(workspace.home, "snapshot", workspace.dataset(corpus), SNAPSHOT_WORK, inputs)
    if not work.is_recorded(locked):
        work.record(md5=locked, clips=clip_ids_of(workspace.clips_table(corpus)), files={})
