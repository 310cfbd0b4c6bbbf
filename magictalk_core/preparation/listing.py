"""From a registered corpus to its tables on disk: source listing, index, finished clips, manifest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from magictalk_core.config import DataSettings, QualityConfig
from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.corpora.registry import list_corpora, load_corpus
from magictalk_core.corpora.source import list_source
from magictalk_core.corpora.withdrawals import read_withdrawals
from magictalk_core.errors import PermanentError
from magictalk_core.preparation.clips_table import complete_clips
from magictalk_core.preparation.index import INDEX_VERSION, index_corpus
from magictalk_core.preparation.records import (
    SHARD_TABLES,
    clip_ids_of,
    clips_work,
    index_parts,
    index_work,
    record_manifest,
    record_source,
)
from magictalk_core.storage.atomic import write_if_changed
from magictalk_core.storage.hashes import digest_of, directory_md5, file_md5
from magictalk_core.storage.parquet import read_frame, read_table, table_metadata, write_table
from magictalk_core.storage.remembered import RememberedHashes
from magictalk_core.storage.schema import CLIPS, FRAMES, MEDIA, SOURCE, SPEECH
from magictalk_core.vocabulary.clips import Reason, Split, Status
from magictalk_core.vocabulary.emotions import EMOTIONS
from magictalk_core.work.clip_steps import failed_clips
from magictalk_core.work.isolation import default_workers
from magictalk_core.work.manifest import Manifest, build_manifest, read_manifest
from magictalk_core.work.provenance import Work, output_md5
from magictalk_core.workspace import Workspace

__all__ = [
    "WrittenTable",
    "accepted_by_split",
    "corpus_overview",
    "emotions_to_learn",
    "frame_count_mismatches",
    "observe_source",
    "read_index",
    "shards_of",
    "speech_problems_of_shard",
    "write_clips",
    "write_index",
    "write_manifest",
]

_INPUTS = "magictalk.inputs"


@dataclass(frozen=True)
class WrittenTable:
    """A written CLIPS table, index or finished: its counts, and the shards that have a file to read."""

    path: Path
    md5: str
    clips: int
    rejected: int
    shards: tuple[str, ...]
    source: str = ""
    """Of an index: version of the listing that it was made from."""


def observe_source(workspace: Workspace, corpus: str) -> str:
    """List the raw files, reading only those that changed; returns the md5 of the listing.

    Beside the table a file of a few bytes says what clips are found in, by content: its times are of no interest. What
    is withdrawn of the corpus is part of it, so that `dvc repro` makes its dataset again.
    """
    entry = load_corpus(workspace, corpus)
    table = workspace.source_table(corpus)
    previous = read_frame(SOURCE, table) if table.is_file() else None
    listing = list_source(entry, workspace.local_media(corpus), previous, default_workers())
    if previous is None or not listing.equals(previous.astype(listing.dtypes)):
        write_table(SOURCE, listing, table)
    # The version is about content: a file that was only touched is the same file.
    version = directory_md5(zip(listing["path"], listing["md5"], strict=True)).removesuffix(".dir")
    facts: dict[str, Any] = {"files": len(listing), "md5": version, "labels": _labels_md5(entry)}
    if gone := read_withdrawals(workspace).digest(corpus, listing["md5"]):
        facts["withdrawn"] = gone
    write_if_changed(workspace.listing(corpus), json.dumps(facts, indent=1) + "\n")
    record_source(workspace, corpus, version)
    return version


def _labels_md5(entry: CorpusEntry) -> str | None:
    return file_md5(entry.labels) if entry.labels and entry.labels.is_file() else None


def write_index(workspace: Workspace, corpus: str, preset: DataSettings) -> WrittenTable:
    """Turn the listing and the files' headers into CLIPS rows; the same listing and settings are not read again."""
    version = observe_source(workspace, corpus)
    entry, path = load_corpus(workspace, corpus), workspace.index_table(corpus)
    # By content alone: where the raw files lie is another matter on another machine.
    corpus_facts = {name: fact for name, fact in asdict(corpus_of(entry)).items() if name not in ("root", "labels")}
    work: dict[str, Any] = {
        "source": version,
        "kind": entry.kind,
        "corpus": corpus_facts,
        "version": INDEX_VERSION,
    }
    work |= {
        "labels": _labels_md5(entry),
        "max_side": preset.media.max_side_px,
    }
    source = read_frame(SOURCE, workspace.source_table(corpus))
    withdrawals = read_withdrawals(workspace)
    settings = {"max_side_px": preset.media.max_side_px, "quality": preset.quality.model_dump(mode="json")}
    if gone := withdrawals.digest(corpus, source["md5"]):
        work["withdrawn"] = settings["withdrawn"] = gone
    inputs = digest_of(work | {"quality": preset.quality.model_dump()})
    provenance = index_work(workspace, corpus, INDEX_VERSION, settings, inputs)
    if path.is_file() and table_metadata(path).get(_INPUTS) == inputs:
        return replace(_recorded_index(provenance, output_md5(path, workspace.home)), source=version)
    cache, local = workspace.cache("headers") / f"{corpus}.json", workspace.local_media(corpus)
    rows, complete = index_corpus(entry, source, local, preset.media, preset.quality, cache, withdrawals)
    if not rows:
        raise PermanentError(
            f"corpus `{corpus}`: no clip found below {entry.root}: check --root and --kind; "
            f"`magictalk corpus check {corpus}` names what lies there and is not taken"
        )
    header = {_INPUTS: inputs if complete else "incomplete", "settings": json.dumps(settings, sort_keys=True)}
    return replace(_recorded_index(provenance, write_table(CLIPS, rows, path, header)), source=version)


def _recorded_index(work: Work, md5: str) -> WrittenTable:
    if not work.is_recorded(md5):
        index = read_frame(CLIPS, work.output)
        work.record(md5=md5, clips=index["clip_id"], digests=index_parts(index))
    return _written(work.output, md5)


def _written(path: Path, md5: str) -> WrittenTable:
    rows = read_frame(CLIPS, path, columns=["shard", "status", "reason"])
    return WrittenTable(path, md5, len(rows), int((rows["status"] != Status.OK).sum()), shards_of(rows))


def shards_of(index: pd.DataFrame) -> tuple[str, ...]:
    """Shards with a file to read; a bucket of clips that are only listed, or all withdrawn, is no work."""
    return tuple(sorted(index["shard"][~index["reason"].isin([Reason.MISSING, Reason.WITHDRAWN])].unique()))


def read_index(workspace: Workspace, corpus: str, shard: str | None = None) -> pd.DataFrame:
    """The index rows of one shard, or all."""
    index = read_frame(CLIPS, workspace.index_table(corpus))
    return index if shard is None else index[index["shard"] == shard].reset_index(drop=True)


def frame_count_mismatches(workspace: Workspace, corpus: str, shard: str, table: str, needs: str) -> list[str]:
    """Clips of a shard whose `table` has not one row per frame (within 1) of the standardized video.

    A clip whose child crashed has a reason instead of rows (`complete_clips`).
    """
    media = read_frame(MEDIA, workspace.shard_table(corpus, "media", shard))
    expected = media[media[needs].notna()].set_index("clip_id")["n_frames"]
    spec = FRAMES if table == "blendshapes" else SPEECH
    path = workspace.shard_table(corpus, table, shard)
    expected = expected.drop(list(failed_clips(path)), errors="ignore")
    rows = read_frame(spec, path, columns=["clip_id"])
    found = rows["clip_id"].value_counts().reindex(expected.index, fill_value=0)
    return [str(clip) for clip in expected.index[(found - expected).abs() > 1]]


def speech_problems_of_shard(workspace: Workspace, corpus: str, shard: str) -> dict[str, list[str]]:
    """Problems by clip of the speech features of a shard: rows, range, one feature only.

    A clip without rows is left to `frame_count_mismatches`.
    """
    from magictalk_core.speech.checks import speech_problems

    media = read_frame(MEDIA, workspace.shard_table(corpus, "media", shard), columns=["clip_id", "n_frames"])
    table = read_table(SPEECH, workspace.shard_table(corpus, "speech", shard))
    present = set(table["clip_id"].unique().to_pylist())
    known = {str(clip): int(n) for clip, n in zip(media["clip_id"], media["n_frames"], strict=True) if clip in present}
    return speech_problems(table, known) if known else {}


def write_clips(workspace: Workspace, corpus: str, quality: QualityConfig) -> WrittenTable:
    """Finish the clip table from the index and the tables of all shards, or return the finished one of the same."""
    path, shards = workspace.clips_table(corpus), _shards_of_index(workspace, corpus)
    withdrawals = read_withdrawals(workspace)
    settings = {"quality": quality.model_dump(mode="json"), **withdrawals.settings()}
    work = clips_work(workspace, corpus, shards, settings)
    record = work.made()
    if record is None:
        media, tracked, heard = ([workspace.shard_table(corpus, table, s) for s in shards] for table in SHARD_TABLES)
        index = workspace.index_table(corpus)
        md5 = complete_clips(index, media, quality, path, tracked, heard, withdrawals)
        record = work.record(md5=md5, clips=clip_ids_of(path))
    return _written(path, record.md5)


def _shards_of_index(workspace: Workspace, corpus: str) -> tuple[str, ...]:
    return shards_of(read_frame(CLIPS, workspace.index_table(corpus), columns=["shard", "reason"]))


def write_manifest(workspace: Workspace, corpus: str) -> Manifest:
    """The hashes of the whole dataset directory, which holds the finished clip table and the tables of its shards."""
    shards = shards_of(read_frame(CLIPS, workspace.clips_table(corpus), columns=["shard", "reason"]))
    expected = {f"{table}/{shard}.parquet" for table in SHARD_TABLES for shard in shards} | {"clips.parquet"}
    hashes = RememberedHashes(workspace.file_hashes)
    manifest = build_manifest(workspace.dataset(corpus), workspace.manifest(corpus), expected, hashes)
    record_manifest(workspace, corpus, manifest)
    return manifest


def accepted_by_split(workspace: Workspace, corpora: Sequence[str]) -> dict[Split, int] | None:
    """Accepted clips of each split over the finished clip tables; None where there is no table yet."""
    tables = [path for path in map(workspace.clips_table, corpora) if path.is_file()]
    if not tables:
        return None
    counts: Counter[str] = Counter()
    for table in tables:
        rows = read_frame(CLIPS, table, columns=["status", "split"])
        counts.update(rows["split"][rows["status"] == Status.OK].tolist())
    return {split: counts[split] for split in Split}


def emotions_to_learn(workspace: Workspace, corpora: Sequence[str]) -> frozenset[str] | None:
    """MEAD's emotions among the accepted training clips; None where there is no finished clip table yet."""
    tables = [path for path in map(workspace.clips_table, corpora) if path.is_file()]
    if not tables:
        return None
    found: set[str] = set()
    for table in tables:
        rows = read_frame(CLIPS, table, columns=["status", "split", "emotion"])
        found.update(rows["emotion"][(rows["status"] == Status.OK) & (rows["split"] == Split.TRAIN)].dropna())
    return frozenset(found & set(EMOTIONS))


def corpus_overview(workspace: Workspace) -> list[dict[str, Any]]:
    """One row per registered corpus for people: counts from the newest clip table, None before indexing."""
    rows = []
    for entry in list_corpora(workspace):
        table = workspace.clips_table(entry.name)
        table = table if table.is_file() else workspace.index_table(entry.name)
        status = read_frame(CLIPS, table, columns=["status"])["status"] if table.is_file() else None
        manifest = workspace.manifest(entry.name)
        rows.append(
            {
                "name": entry.name,
                "kind": entry.kind,
                "root": str(entry.root),
                "clips": None if status is None else len(status),
                "ok": None if status is None else int((status == Status.OK).sum()),
                "rejected": None if status is None else int((status != Status.OK).sum()),
                "dataset": read_manifest(manifest).digest if manifest.is_file() else None,
            }
        )
    return rows
