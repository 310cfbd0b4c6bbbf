"""The parts of a workspace's store that a purge goes through: corpus tables, media, cache, style banks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from safetensors.numpy import load_file, save_file

from magictalk_core.corpora.withdrawal_log import WithdrawnClip
from magictalk_core.corpora.withdrawals import read_withdrawals
from magictalk_core.lineage.content import ClipFinder
from magictalk_core.preparation.listing import write_manifest
from magictalk_core.preparation.shards import media_stem
from magictalk_core.preparation.withdrawn import tombstone
from magictalk_core.storage.atomic import atomic_path, write_text
from magictalk_core.storage.parquet import read_frame, read_table, table_metadata, write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, MEDIA, SPEECH, TableSpec
from magictalk_core.vocabulary.clips import Status
from magictalk_core.work.clip_steps import FAILED_KEY, INPUTS_KEY, failed_clips
from magictalk_core.work.provenance import record_path
from magictalk_core.workspace import Workspace

__all__ = ["cache_pieces", "forget_headers", "is_corpus_table", "media_files", "rewrite_corpus", "strip_style_bank"]

_SHARD_TABLES: Mapping[str, TableSpec] = {"media": MEDIA, "blendshapes": FRAMES, "speech": SPEECH}
_READERS = 8
"""Threads that look into cache pieces: small files, so that the disk is waited for most of the time."""

_OF_A_KILLED_STEP = ".tmp-*"


def media_files(workspace: Workspace, clips: Sequence[WithdrawnClip]) -> Iterator[Path]:
    """The standardized files of the clips, of any settings, and what a killed step left in their folders."""
    by_folder: dict[Path, set[str]] = {}
    for clip in clips:
        folder = workspace.media(clip.clip_id.split("/")[0], clip.shard)
        by_folder.setdefault(folder, set()).add(media_stem(clip.clip_id))
    for folder, stems in sorted(by_folder.items()):
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            named = re.fullmatch(r"(.+)\.[0-9a-f]{8}\.\w+", path.name)
            if named is not None and named[1] in stems:
                yield path
        yield from sorted(folder.glob(_OF_A_KILLED_STEP))


def cache_pieces(workspace: Workspace, finder: ClipFinder) -> list[Path]:
    """Pieces of any step, settings and version whose rows are of the clips."""
    root = workspace.home / "cache"
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.parent != root / "headers")
    with ThreadPoolExecutor(_READERS) as pool:
        held = pool.map(finder.in_file, files)
        return [path for path, ids in zip(files, held, strict=True) if ids or path.name.startswith(".tmp-")]


def forget_headers(workspace: Workspace, corpus: str) -> None:
    """Drop what was said of the headers of files that only withdrawn clips were made from."""
    path = workspace.cache("headers") / f"{corpus}.json"
    index = workspace.index_table(corpus)
    if not path.is_file() or not index.is_file():
        return
    rows = read_frame(CLIPS, index, columns=["raw_md5", "status"])
    stays = set(rows["raw_md5"][rows["status"] != Status.WITHDRAWN])
    stored = json.loads(path.read_text(encoding="utf-8"))
    kept = {kind: {md5: said for md5, said in stored[kind].items() if md5 in stays} for kind in ("headers", "chunks")}
    write_text(path, json.dumps(stored | kept, sort_keys=True))


def is_corpus_table(workspace: Workspace, path: Path) -> bool:
    """Whether `rewrite_corpus` knows how to write this table without some of its clips."""
    corpus = path.relative_to(workspace.corpora).parts[0]
    dataset = workspace.dataset(corpus)
    tables = (workspace.index_table(corpus), workspace.clips_table(corpus))
    return path in tables or any(path.parent == dataset / folder for folder in _SHARD_TABLES)


def rewrite_corpus(workspace: Workspace, corpus: str, finder: ClipFinder, held: Sequence[Path]) -> None:
    """Write the tables of a corpus that hold clips anew without them, and its manifest.

    The next run puts the shards together again from their pieces, as if the clips had never been there.
    """
    own = [path for path in held if path.is_relative_to(workspace.corpus(corpus))]
    for path in (workspace.index_table(corpus), workspace.clips_table(corpus)):
        if path in own:
            _bury(workspace, path)
    dataset = workspace.dataset(corpus)
    for folder, spec in _SHARD_TABLES.items():
        for path in own:
            if path.parent == dataset / folder:
                _filter(spec, path, finder.ids)
    if own and workspace.manifest(corpus).is_file():
        write_manifest(workspace, corpus)


def _bury(workspace: Workspace, path: Path) -> None:
    """Leave tombstones in a table of clips; whoever writes it next looks at everything again."""
    withdrawals = read_withdrawals(workspace)
    frame = read_frame(CLIPS, path).astype(object)
    rows = frame.where(frame.notna(), None).to_dict("records")
    numbers = [withdrawals.number({str(name): value for name, value in row.items()}) for row in rows]
    kept = [row if n is None else tombstone(row, n) for row, n in zip(rows, numbers, strict=True)]
    write_table(CLIPS, kept, path, _metadata(path))
    record_path(path).unlink(missing_ok=True)


def _filter(spec: TableSpec, path: Path, ids: frozenset[str]) -> None:
    table = read_table(spec, path)
    rest = table.filter(pc.invert(pc.is_in(table["clip_id"].cast(pa.string()), pa.array(sorted(ids)))))
    record_path(path).unlink(missing_ok=True)
    if len(rest):
        write_table(spec, rest, path, _metadata(path, ids))
    else:
        path.unlink()


def _metadata(path: Path, ids: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The file's own metadata without the clips, of work that is not finished."""
    ours = ("magictalk.table", "magictalk.schema_version")
    metadata = {name: value for name, value in table_metadata(path).items() if name not in ours}
    if failed := {clip: how for clip, how in failed_clips(path).items() if clip not in ids}:
        metadata[FAILED_KEY] = json.dumps(failed, sort_keys=True)
    else:
        metadata.pop(FAILED_KEY, None)
    return metadata | ({INPUTS_KEY: "incomplete"} if INPUTS_KEY in metadata else {})


def strip_style_bank(model: Path, ids: frozenset[str]) -> None:
    """Take the clips out of the style bank in a model folder; the network's weights stay as they are."""
    frames = load_file(model / "styles.safetensors")
    styles = json.loads((model / "styles.json").read_text(encoding="utf-8"))
    left = {emotion: [clip for clip in clips if clip not in ids] for emotion, clips in styles["emotions"].items()}
    with atomic_path(model / "styles.safetensors") as temporary:
        save_file({clip: values for clip, values in frames.items() if clip not in ids}, temporary)
    styles["emotions"] = {emotion: clips for emotion, clips in left.items() if clips}
    write_text(model / "styles.json", json.dumps(styles, indent=1))
