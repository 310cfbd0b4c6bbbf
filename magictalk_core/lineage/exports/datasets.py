"""The Croissant documents of what a workspace holds: the publishable dataset, and the snapshot of each corpus."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.corpora.registry import load_corpus
from magictalk_core.lineage.exports.croissant import DataFile, Dataset, RecordTable, croissant
from magictalk_core.storage.atomic import write_if_changed
from magictalk_core.storage.hashes import directory_md5, file_sha256
from magictalk_core.storage.parquet import read_frame, table_metadata
from magictalk_core.storage.schema import ARKIT, CLIPS, FRAMES, MEDIA, SPEECH
from magictalk_core.vocabulary.clips import Status
from magictalk_core.work.manifest import manifest_inputs, read_manifest
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["arkit_croissant", "corpus_croissant", "write_corpus_croissant"]

CROISSANT_VERSION = "1"
_TABLES = {"media": MEDIA, "blendshapes": FRAMES, "speech": SPEECH}


def arkit_croissant(workspace: Workspace, folder: Path) -> dict[str, Any]:
    """Of the publishable dataset in `folder`, by its `meta/info.json`; with the sha256 of every file."""
    info = json.loads((folder / "meta" / "info.json").read_text(encoding="utf-8"))
    made = [corpus_of(load_corpus(workspace, corpus)).is_synthetic for corpus in info["sources"]]
    data = tuple(_hashed(folder, folder / name) for name in info["files"])
    digest = directory_md5((file.path, str(file.sha256)) for file in data).removesuffix(".dir")
    frames = RecordTable("frames", ARKIT, "data", data, r"data/(train|validation|test)-.*\.parquet$")
    clips = RecordTable("clips", CLIPS, "meta/clips.parquet", (_hashed(folder, folder / "meta" / "clips.parquet"),))
    return croissant(
        Dataset(
            name="magictalk-arkit",
            description=f"ARKit blendshapes and head pose of {info['total_clips']} clips of {info['total_speakers']} "
            f"speakers, {info['total_frames']} frames at {info['fps']} per second, with the labels of their clips.",
            version=f"1.0.0+{digest}",
            digest=digest,
            licences=tuple(info["licences"]),
            tables=(frames, clips),
            trackers=tuple(info["trackers"]),
            derived_from=tuple(info["sources"].values()),
            is_synthetic=all(made),
        )
    )


def _hashed(folder: Path, path: Path) -> DataFile:
    return DataFile(path.relative_to(folder).as_posix(), path.stat().st_size, sha256=file_sha256(path))


def corpus_croissant(workspace: Workspace, corpus: str) -> dict[str, Any]:
    """Of the dataset folder of a corpus as its manifest lists it; paths are relative to the corpus folder."""
    about, manifest = corpus_of(load_corpus(workspace, corpus)), read_manifest(workspace.manifest(corpus))
    rows = read_frame(CLIPS, workspace.clips_table(corpus), columns=["licence", "status"])
    accepted = int((rows["status"] == Status.OK).sum())
    digest = manifest.digest.removesuffix(".dir")
    files: dict[str, list[DataFile]] = {}
    for name, md5 in manifest.entries:
        size = (workspace.dataset(corpus) / name).stat().st_size
        files.setdefault(name.split("/")[0], []).append(DataFile(f"dataset/{name}", size, md5=md5))
    tables = [
        RecordTable(spec.name, spec, f"dataset/{table}", tuple(files[table]))
        for table, spec in _TABLES.items()
        if table in files
    ]
    return croissant(
        Dataset(
            name=f"magictalk-{corpus}",
            description=f"The corpus {corpus} as magictalk prepared it: {accepted} accepted clips of {len(rows)}; "
            "standardized media, ARKit blendshapes, speech features. The media files themselves are not part of it.",
            version=f"1.0.0+{digest}",
            digest=digest,
            licences=tuple(sorted(set(map(str, rows["licence"])))),
            tables=(RecordTable("clips", CLIPS, "dataset/clips.parquet", tuple(files["clips.parquet"])), *tables),
            trackers=_trackers(workspace, corpus, files.get("blendshapes", ())),
            is_synthetic=about.is_synthetic,
        )
    )


def _trackers(workspace: Workspace, corpus: str, files: Sequence[DataFile]) -> tuple[str, ...]:
    tables = (workspace.corpus(corpus) / file.path for file in files)
    return tuple(sorted({tracker for table in tables if (tracker := table_metadata(table).get("tracker"))}))


def write_corpus_croissant(workspace: Workspace, corpus: str) -> Path:
    """Write `corpora/<c>/croissant.json`, with its record."""
    path = workspace.corpus(corpus) / "croissant.json"
    registration = input_of(workspace.home, "registration", workspace.corpus_file(corpus))
    inputs = (*manifest_inputs(workspace, [corpus]), registration)
    work = Work(workspace.home, "croissant", path, CROISSANT_VERSION, inputs)
    if not work.is_made():
        write_if_changed(path, json.dumps(corpus_croissant(workspace, corpus), indent=1) + "\n")
        work.record()
    return path
