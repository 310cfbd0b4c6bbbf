"""Writing the dataset: data by split, `meta/` beside it, and a card, in the spirit of LeRobot v3.

::

    arkit_dataset/
      README.md                      dataset card, with the front matter that Hugging Face reads
      data/train-00000.parquet ...   frames with labels; whole clips in one file; also validation-, test-
      meta/info.json                 columns with unit, range, meaning and blind trackers; totals; sources; trackers
      meta/stats.json                statistics per channel, and per emotion
      meta/clips.parquet             one row per clip, as in the clip tables of the corpora
      meta/excluded.csv              clips that were left out, and why
      meta/checks.json               what the sanity checks found
      meta/previous_statistics.json  stats.json of the last dataset with other data, with which drift compares
      meta/*.svg                     distributions as plots

Clips that are withdrawn appear nowhere, not even by name. The bytes depend on the corpora's manifests alone, but for
`checks.json` and `previous_statistics.json`, which compare with the last dataset whose data were others: a run again on
the same data finds the same drift again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from magictalk_core import __version__
from magictalk_core.arkit_dataset.card import card_text
from magictalk_core.arkit_dataset.checks import Finding, run_checks
from magictalk_core.arkit_dataset.statistics import DatasetStatistics, measure
from magictalk_core.corpora.withdrawals import read_withdrawals
from magictalk_core.errors import UserError
from magictalk_core.lineage.exports.datasets import arkit_croissant
from magictalk_core.preparation.withdrawn import current_clips
from magictalk_core.storage.atomic import atomic_directory
from magictalk_core.storage.hashes import directory_md5, file_md5, tree_md5
from magictalk_core.storage.parquet import read_table, write_table
from magictalk_core.storage.schema import ARKIT, CLIPS, FRAMES
from magictalk_core.vocabulary.clips import Split, Status
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.work.manifest import manifest_inputs, read_manifest
from magictalk_core.work.provenance import Provenance, Work
from magictalk_core.workspace import Workspace

__all__ = ["ARKIT_DATASET_VERSION", "ArkitDataset", "build_arkit_dataset"]

ARKIT_DATASET_VERSION = "2"
ROWS_PER_FILE = 500_000
_SPLIT_FILES = {Split.TRAIN: "train", Split.VAL: "validation", Split.TEST: "test"}
_LABELS = ["corpus", "speaker", "emotion", "level"]
_PREVIOUS = "previous_statistics.json"
_SAID = ("info", "checks")
_OF_THE_PAST = frozenset({"meta/checks.json", f"meta/{_PREVIOUS}"})
"""Files that tell of earlier datasets too; the digest leaves them out."""


@dataclass(frozen=True)
class ArkitDataset:
    """What was written: `digest` over all files but those that compare with the past, counts, what the checks found."""

    path: Path
    digest: str
    clips: int
    frames: int
    excluded: int
    findings: tuple[Finding, ...]


def build_arkit_dataset(workspace: Workspace, corpora: Sequence[str]) -> ArkitDataset:
    """Write the dataset over the manifests of `corpora`, or return the finished one of the same.

    Another one is replaced as a whole.
    """
    if not corpora:
        raise UserError("no corpus is registered: see `magictalk corpus add --help`")
    clips = pd.concat([current_clips(workspace, c) for c in corpora], ignore_index=True)
    out = workspace.arkit_dataset
    settings = read_withdrawals(workspace).settings()
    inputs = manifest_inputs(workspace, corpora)
    work = Work(workspace.home, "arkit_dataset", out, ARKIT_DATASET_VERSION, inputs, settings)
    record = work.made()
    if record is None:
        record = _write(workspace, corpora, clips, work)
    info, checks = (json.loads((out / "meta" / f"{name}.json").read_text(encoding="utf-8")) for name in _SAID)
    excluded = int((clips["status"] == Status.REJECTED).sum())
    findings = tuple(Finding(**found) for found in checks)
    return ArkitDataset(out, record.version, info["total_clips"], info["total_frames"], excluded, findings)


def _write(workspace: Workspace, corpora: Sequence[str], clips: pd.DataFrame, work: Work) -> Provenance:
    """All files, then the record."""
    # Imported here: matplotlib takes a second, and most calls find the dataset made.
    from magictalk_core.arkit_dataset.plots import write_plots

    accepted = clips[clips["status"] == Status.OK].set_index("clip_id", drop=False)
    with atomic_directory(work.output) as folder:
        files = _write_data(workspace, corpora, accepted, folder / "data")
        stats = measure(files)
        present = accepted[accepted["clip_id"].isin(stats.clips.index)]
        before = _statistics_before(work.output, folder)
        findings = run_checks(stats, before)
        info = _info(workspace, corpora, present, stats, files)
        _write_meta(folder, clips, present, stats, info, findings)
        write_plots(stats, folder / "meta")
        if before is not None:
            (folder / "meta" / _PREVIOUS).write_text(json.dumps(before, indent=1), encoding="utf-8")
        (folder / "README.md").write_text(card_text(info, clips, present, stats), encoding="utf-8")
        document = arkit_croissant(workspace, folder)
        (folder / "croissant.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
        entries = [(p.relative_to(folder).as_posix(), file_md5(p)) for p in folder.rglob("*") if p.is_file()]
    digest = directory_md5(entry for entry in entries if entry[0] not in _OF_THE_PAST)
    return work.record(clips=present["clip_id"], files=dict(entries), digests={"dagster": digest})


def _statistics_before(old: Path, new: Path) -> Any | None:
    """Statistics of the last dataset whose data differ from those in `new`; None when there was none.

    Equal data carry the comparison over: else a second run would compare them with themselves and clear every drift.
    """
    same = (old / "data").is_dir() and tree_md5(old / "data") == tree_md5(new / "data")
    path = old / "meta" / (_PREVIOUS if same else "stats.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _shards(workspace: Workspace, corpora: Sequence[str]) -> Iterator[Path]:
    for corpus in corpora:
        for name, _ in read_manifest(workspace.manifest(corpus)).entries:
            if name.startswith("blendshapes/"):
                yield workspace.dataset(corpus) / name


def _write_data(workspace: Workspace, corpora: Sequence[str], clips: pd.DataFrame, folder: Path) -> list[Path]:
    """Files of about ROWS_PER_FILE rows for each split, in the order of corpora and shards."""
    parts: dict[str, list[pa.Table]] = {name: [] for name in _SPLIT_FILES.values()}
    files: list[Path] = []
    numbers = dict.fromkeys(parts, 0)

    def flush(split: str) -> None:
        if parts[split]:
            file = folder / f"{split}-{numbers[split]:05d}.parquet"
            write_table(ARKIT, pa.concat_tables(parts[split]), file, {"version": ARKIT_DATASET_VERSION})
            files.append(file)
            numbers[split] += 1
            parts[split].clear()

    for shard in _shards(workspace, corpora):
        for split, table in _labelled(read_table(FRAMES, shard), clips):
            parts[split].append(table)
            if sum(map(len, parts[split])) >= ROWS_PER_FILE:
                flush(split)
    for split in parts:
        flush(split)
    return sorted(files)


def _labelled(frames: pa.Table, clips: pd.DataFrame) -> Iterator[tuple[str, pa.Table]]:
    """The rows of accepted clips with their labels, by split."""
    ids = pd.Series(frames.column("clip_id").to_pylist(), dtype=object)
    for split, name in _SPLIT_FILES.items():
        wanted = clips[clips["split"] == split]
        at = ids.isin(wanted["clip_id"]).to_numpy()
        if not at.any():
            continue
        rows = frames.filter(pa.array(at))
        labels = wanted.loc[ids[at], _LABELS]
        for label in _LABELS:
            column = ARKIT.schema().field(label)
            values = [None if pd.isna(value) else value for value in labels[label]]
            rows = rows.append_column(column, pa.array(values, type=column.type))
        yield name, rows.select(list(ARKIT.names)).cast(ARKIT.schema())


def _info(
    workspace: Workspace, corpora: Sequence[str], clips: pd.DataFrame, stats: DatasetStatistics, files: Sequence[Path]
) -> dict[str, Any]:
    columns = {
        column.name: {
            "dtype": str(column.type),
            "unit": column.unit,
            "range": None if column.low is None and column.high is None else [column.low, column.high],
            "description": column.description,
            "blind_trackers": column.blind.split(", ") if column.blind else [],
        }
        for column in ARKIT.columns
    }
    frames = int(clips["n_frames"].sum())
    return {
        "format": f"magictalk-arkit/{ARKIT_DATASET_VERSION}",
        "generator": f"magictalk {__version__}",
        "fps": FRAME_RATE,
        "total_clips": len(clips),
        "total_frames": frames,
        "total_hours": round(frames / 25 / 3600, 4),
        "total_speakers": int(clips.groupby(["corpus", "speaker"], observed=True).ngroups),
        "frames_with_face": int(stats.by_channel()["head_yaw_deg"]["count"]),
        "trackers": sorted(map(str, stats.clips["tracker"].unique())),
        "sources": {corpus: read_manifest(workspace.manifest(corpus)).digest for corpus in corpora},
        "licences": {str(k): int(n) for k, n in clips["licence"].value_counts().sort_index().items()},
        "files": [f"data/{file.name}" for file in files],
        "features": columns,
    }


def _write_meta(
    folder: Path,
    clips: pd.DataFrame,
    present: pd.DataFrame,
    stats: DatasetStatistics,
    info: dict[str, Any],
    findings: Sequence[Finding],
) -> None:
    meta = folder / "meta"
    meta.mkdir(parents=True, exist_ok=True)
    for name, value in (("info", info), ("stats", stats.as_json()), ("checks", [asdict(f) for f in findings])):
        (meta / f"{name}.json").write_text(json.dumps(value, indent=1, default=str), encoding="utf-8")
    write_table(CLIPS, present.reset_index(drop=True), meta / "clips.parquet")
    excluded = clips[clips["status"] == Status.REJECTED].sort_values("clip_id")
    excluded[["clip_id", "corpus", "reason", "detail"]].to_csv(meta / "excluded.csv", index=False)
