"""The sources of hashes in a workspace, one function each: it checks the source, then adds what it claims.

Provenance records come first: of claims that differ the first is what a repair restores.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from magictalk_core.corpora.entry import CorpusEntry
from magictalk_core.corpora.raw_files import raw_file
from magictalk_core.corpora.registry import load_corpus
from magictalk_core.corpora.withdrawal_log import head_of, read_log
from magictalk_core.errors import PermanentError, UserError
from magictalk_core.lineage.integrity.claims import Claim, Claims
from magictalk_core.lineage.integrity.places import files_of_workspace
from magictalk_core.lineage.integrity.records import add_records
from magictalk_core.storage.hashes import directory_md5
from magictalk_core.storage.parquet import read_table
from magictalk_core.storage.schema import MEDIA, SOURCE, TableSpec
from magictalk_core.storage.sealed import is_sealed_whole
from magictalk_core.work.manifest import Manifest, read_manifest
from magictalk_core.work.pieces import read_piece_list
from magictalk_core.workspace import Workspace

__all__ = ["collect_claims"]

RUN = "`magictalk run` makes it again"
DVC_FILES = Path(".dvc/cache/files/md5")


def collect_claims(workspace: Workspace, with_raw: bool = True) -> Claims:
    """Everything that is said about the files of a workspace. `with_raw`: also about the raw files of its corpora."""
    claims = Claims(workspace.home)
    entries = list(_entries(workspace, claims))
    claims.raw = {folder for one in entries for folder in (one.root, workspace.local_media(one.name))}
    claims.places = list(files_of_workspace(workspace.home, claims.raw))
    add_records(workspace, claims)
    _withdrawals(workspace, claims)
    _manifests(workspace, claims)
    _media(workspace, claims)
    _models(workspace, claims)
    _checkpoints(workspace, claims)
    _pieces(workspace, claims)
    _headers(workspace, claims)
    _dvc_cache(workspace, claims)
    for entry in entries if with_raw else ():
        _raw_files(workspace, claims, entry, workspace.local_media(entry.name))
    return claims


def _entries(workspace: Workspace, claims: Claims) -> Iterator[CorpusEntry]:
    """The registered corpora; one whose entry cannot be read is a finding."""
    for path in sorted(workspace.corpora.glob("*/corpus.yaml")):
        try:
            yield load_corpus(workspace, path.parent.name)
        except UserError as error:
            claims.damaged_source(path, f"{error}: `magictalk corpus add --replace` writes it again")


def _withdrawals(workspace: Workspace, claims: Claims) -> None:
    """The record of who was withdrawn, a chain of hashes: an edited, lost or added line is a finding."""
    try:
        read_log(workspace)
    except PermanentError as error:
        claims.damaged_source(workspace.withdrawals, str(error).removeprefix(f"{workspace.withdrawals}: "))
        claims.sources.add(head_of(workspace))
    else:
        claims.sources.update((workspace.withdrawals, head_of(workspace)))


def _manifests(workspace: Workspace, claims: Claims) -> None:
    for path in sorted(workspace.home.glob("manifests/[!.]*.json")):
        dataset = workspace.dataset(path.stem)
        manifest = _whole_manifest(path)
        if manifest is None:
            claims.damaged_source(path, f"its digest is not that of what it lists: {_select(path.stem)}", dataset)
            continue
        claims.sources.add(path)
        by = claims.shown(path)
        claims.add(Claim(dataset / name, md5, by, _select(path.stem)) for name, md5 in manifest.entries)


def _select(corpus: str) -> str:
    return f"`magictalk run --select +{corpus}/snapshot` makes it again"


def _whole_manifest(path: Path) -> Manifest | None:
    try:
        manifest = read_manifest(path)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest if directory_md5(manifest.entries) == manifest.digest else None


def _table(spec: TableSpec, path: Path, columns: list[str]) -> list[dict[str, Any]] | None:
    """Rows of a table, None where it cannot be read: then its own hash is wrong too, which others tell."""
    try:
        rows: list[dict[str, Any]] = read_table(spec, path, columns).to_pylist()
    except (OSError, ValueError, pa.ArrowException, PermanentError):
        return None
    return rows


def _media(workspace: Workspace, claims: Claims) -> None:
    """The files that the media tables list with their hashes."""
    recorded = {path for path in claims.by_file if path.match("corpora/*/dataset/media/*.parquet")}
    for path in sorted(recorded.union(workspace.corpora.glob("*/dataset/media/*.parquet"))):
        corpus = path.parents[2]
        columns = ["video_path", "video_md5", "audio_path", "audio_md5"]
        rows = _table(MEDIA, path, columns) if path.is_file() else None
        if rows is None:
            claims.in_the_dark.add(corpus / "media" / path.stem)
            continue
        by = claims.shown(path)
        remedy = f"remove it, then `magictalk run --select {corpus.name}/media` makes it again"
        for row in rows:
            files = (("video_path", "video_md5"), ("audio_path", "audio_md5"))
            claims.add(Claim(corpus / row[f], row[md5], by, remedy) for f, md5 in files if row[f] is not None)


def _raw_files(workspace: Workspace, claims: Claims, entry: CorpusEntry, local: Path) -> None:
    """What was listed of the raw files of a corpus: the user's own, which nothing here makes again."""
    path = workspace.source_table(entry.name)
    rows = _table(SOURCE, path, list(SOURCE.names)) if path.is_file() else []
    if rows is None:
        claims.in_the_dark.update((entry.root, local))
    elif rows:
        by = claims.shown(path)
        remedy = (
            f"bring it back from where it came from, or type `magictalk corpus observe {entry.name}` if it is meant so"
        )
        for row in rows:
            file = raw_file(entry.root, local, row["path"])
            claims.add([Claim(file, row["md5"], by, remedy, row["bytes"], row["mtime_ns"])])


def _models(workspace: Workspace, claims: Claims) -> None:
    """The weights of finished trainings and what lies beside them, by their results."""
    for path in sorted(workspace.home.glob("models/*/*/result.json")):
        remedy = f"remove {claims.shown(path)}, then `magictalk run --select models/{path.parents[1].name}`"
        if not is_sealed_whole(path.read_bytes()):
            claims.damaged_source(path, f"its seal is not that of its content: {remedy}")
            continue
        claims.sources.add(path)
        result, by = json.loads(path.read_bytes()), claims.shown(path)
        claims.add([Claim(path.parent / "model" / "model.safetensors", result["weights_md5"], by, remedy)])
        claims.add(Claim(path.parent / name, md5, by, remedy) for name, md5 in result.get("files", {}).items())


def _pieces(workspace: Workspace, claims: Claims) -> None:
    """The pieces in the cache that current shards were put together from. Any of them may be gone."""
    for path in sorted(workspace.corpora.glob("*/pieces/*/*.json")):
        try:
            pieces = read_piece_list(path)
        except PermanentError:
            claims.damaged_source(path, f"its seal is not that of its content: remove it, then {RUN}")
            continue
        claims.sources.add(path)
        cache, by = workspace.cache(path.parent.name), claims.shown(path)
        remedy = "remove it: the next run makes it again where it is needed"
        claims.add(Claim(cache / piece.file, piece.md5, by, remedy, is_needed=False) for piece in pieces)


def _headers(workspace: Workspace, claims: Claims) -> None:
    for path in sorted(workspace.cache("headers").glob("*.json")):
        if is_sealed_whole(path.read_bytes()):
            claims.sources.add(path)
        else:
            claims.damaged_source(path, "its seal is not that of its content: remove it, the headers are read again")


def _checkpoints(workspace: Workspace, claims: Claims) -> None:
    """The files of checkpoints, as the sealed `trainer.json` beside them lists them."""
    for path in sorted(workspace.home.glob("*/*/*/step-*/trainer.json")):
        remedy = f"remove {claims.shown(path.parent)}: a finished model does not need it"
        if not is_sealed_whole(path.read_bytes()):
            claims.damaged_source(path, f"its seal is not that of its content: {remedy}", path.parent)
            continue
        claims.sources.add(path)
        files = json.loads(path.read_bytes())["files"].items()
        claims.add(Claim(path.parent / name, md5, claims.shown(path), remedy) for name, md5 in files)


def _dvc_cache(workspace: Workspace, claims: Claims) -> None:
    """Every object of DVC's cache is named by its hash."""
    root = workspace.home / DVC_FILES
    remedy = "remove it, then `dvc fetch`, or `dvc commit` of a whole copy"
    for path in _files(root):
        name = "".join(path.relative_to(root).parts)
        claims.add([Claim(path, name.removesuffix(".dir"), "its name", remedy)])


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file()) if root.is_dir() else iter(())
