"""What was made with certain clips: files that hold them, models trained on them, and what those models made.

Three witnesses, strongest first: the file itself names the clip; its provenance record, or one that it was made from,
does; the snapshot of the dataset that a model names still lies in DVC's cache. A model of which none of them speaks is
listed as not known: silence is no proof of absence.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from magictalk_core.corpora.registry import list_corpora
from magictalk_core.errors import PermanentError
from magictalk_core.lineage.content import ClipFinder
from magictalk_core.work.provenance import Provenance, read_record
from magictalk_core.workspace import Workspace

__all__ = ["Affected", "affected_outputs", "files_of_home", "holds_clips", "kind_of_output"]

BOOKS = frozenset({"dagster", "logs", "provenance", ".dvc", ".git", "cache", "withdrawn"})
"""Folders of a workspace that hold no output: books about the work, copies, and the cache, which is searched apart."""

_KINDS = {
    "arkit_dataset": "dataset", "training_set": "training set", "generated": "table", "refined": "table",
    "scores": "table", "set_scores": "table", "seed_scores": "table", "lip_ablation": "table", "tables": "table",
    "videos": "video", "external": "video", "figures": "picture", "paper": "report", "report": "report",
    "lineage_report": "report", "picture_motion": "table", "picture_scores": "table", "manifests": "manifest",
}  # fmt: skip
_AS_ONE = ("arkit_dataset", "training_set")
_BY_MODELS = (
    "generated",
    "refined",
    "lip_ablation",
    "scores",
    "seed_scores",
    "set_scores",
    "picture_motion",
    "picture_scores",
    "figures",
    "paper",
    "tables",
    "videos",
    "report",
    "lineage_report",
)


@dataclass(frozen=True)
class Affected:
    """An output made with withdrawn clips. `how`: `holds` them, `made from` what does, or `unknown`; `clips`: how many
    of them it holds, None where it was only made from them; `why` in words."""

    kind: str
    name: str
    how: str
    clips: int | None
    why: str


def affected_outputs(workspace: Workspace, finder: ClipFinder) -> list[Affected]:
    """All outputs of the workspace that hold the finder's clips or were made from them, by kind and name."""
    held = _holding(workspace, finder)
    found = {one.name: one for one in held}
    for one in (*_recorded(workspace, finder, held), *_models(workspace, finder, held)):
        found.setdefault(one.name, one)
    models = [one for one in found.values() if one.kind == "model" and one.how == "made from"]
    for one in _made_by(workspace, {model.name for model in models}):
        found.setdefault(one.name, one)
    return sorted(found.values(), key=lambda one: (one.kind, one.name))


# --- files that hold clips -----------------------------------------------------------------------------------------


def files_of_home(workspace: Workspace) -> Iterator[Path]:
    """Files of the workspace that may be outputs: not its books, not hidden ones, not the raw files of its corpora."""
    raw = [entry.root for entry in list_corpora(workspace)]
    for folder, folders, names in os.walk(workspace.home):
        here = Path(folder)
        skipped = BOOKS if here == workspace.home else frozenset()
        if here == workspace.mlflow:  # of its own it has books, of ours copies of models, style banks included
            folders[:], names = [name for name in folders if name == "artifacts"], []
        folders[:] = sorted(
            name for name in folders if name not in skipped and not name.startswith(".") and here / name not in raw
        )
        for name in sorted(names):
            if not name.startswith(".") and here / name != workspace.withdrawals:
                yield here / name


def kind_of_output(workspace: Workspace, path: Path) -> tuple[str, Path]:
    """The kind of output that a file belongs to, and where that lies: a training set is one output, videos are many."""
    parts = path.relative_to(workspace.home).parts
    if parts[0] in _AS_ONE:
        return _KINDS[parts[0]], workspace.home / parts[0]
    if parts[0] == "mlflow" and parts[-1].startswith("styles."):
        return "style bank", path.parent / "styles.safetensors"
    if parts[0] == "models" and len(parts) > 3:
        is_style = parts[-1].startswith("styles.")
        return (
            ("style bank", path.parent / "styles.safetensors")
            if is_style
            else ("model", Path(workspace.home, *parts[:3]))
        )
    if parts[0] == "corpora":
        return {"media": "media", "local": "raw file"}.get(parts[2] if len(parts) > 3 else "", "corpus table"), path
    kind = _KINDS.get(parts[0], "other")
    return "table" if kind == "video" and path.suffix != ".mp4" else kind, path


def holds_clips(workspace: Workspace, path: Path, finder: ClipFinder) -> frozenset[str]:
    """The clips that an output names. Media of a corpus name nobody: they are known by their hash."""
    parts = path.relative_to(workspace.home).parts
    is_media = parts[0] == "corpora" and len(parts) > 3 and parts[2] in ("media", "local")
    return frozenset() if is_media else finder.in_file(path)


def _holding(workspace: Workspace, finder: ClipFinder) -> list[Affected]:
    found: dict[tuple[str, Path], set[str]] = {}
    for path in files_of_home(workspace):
        if ids := holds_clips(workspace, path, finder):
            found.setdefault(kind_of_output(workspace, path), set()).update(ids)
    return [
        Affected(kind, path.relative_to(workspace.home).as_posix(), "holds", len(ids), "names them")
        for (kind, path), ids in found.items()
    ]


# --- provenance records --------------------------------------------------------------------------------------------


def read_records(workspace: Workspace) -> list[Provenance]:
    """Every record there ever was. One that cannot be read is left to the audit."""
    records = []
    for path in sorted((workspace.home / "provenance" / "records").glob("*/*.json")):
        try:
            records.append(read_record(path))
        except PermanentError:
            continue
    return records


def _recorded(workspace: Workspace, finder: ClipFinder, held: Sequence[Affected]) -> Iterator[Affected]:
    """Outputs whose record, or a record behind it, counts one of the clips."""
    records = read_records(workspace)
    sets: dict[str, frozenset[str]] = {}
    why: dict[str, str] = {}
    for record in records:
        if record.clips is not None:
            path = workspace.home / record.clips.file
            if record.clips.file not in sets and path.is_file():
                ids = pq.read_table(path, columns=["clip_id"])["clip_id"].to_pylist()
                sets[record.clips.file] = frozenset(ids) & finder.ids
            if count := len(sets.get(record.clips.file, ())):
                why[record.md5] = f"its record counts {count} of them"
    # Tables of a corpus come before anything is chosen: what is made from them need not use the clip.
    todo = [record for record in records if record.md5 in why and record.kind not in _CORPUS_RECORDS]
    by_input: dict[str, list[Provenance]] = {}
    for record in records:
        for one in record.inputs:
            by_input.setdefault(one.md5, []).append(record)
    chosen = {record.md5 for record in todo}
    while todo:
        source = todo.pop()
        for record in by_input.get(source.md5, ()):
            if record.md5 not in chosen and record.kind not in _CORPUS_RECORDS:
                chosen.add(record.md5)
                why.setdefault(record.md5, f"made from {source.name}")
                todo.append(record)
    for record in records:
        path = workspace.home / record.name
        if record.md5 in chosen and path.exists() and _is_current(path, record):
            kind = "model" if record.kind == "model" else kind_of_output(workspace, path)[0]
            name = path.parent if record.kind == "model" else path
            yield Affected(kind, name.relative_to(workspace.home).as_posix(), "made from", None, why[record.md5])


_CORPUS_RECORDS = frozenset(
    {"source", "index", "media", "blendshapes", "speech", "clips", "manifest", "snapshot", "card"}
)


def _is_current(path: Path, record: Provenance) -> bool:
    """Whether the output still is what the record says, by the record that lies beside it now."""
    from magictalk_core.work.provenance import record_of

    try:
        now = record_of(path)
    except PermanentError:
        return False
    return now is not None and now.md5 == record.md5


# --- models --------------------------------------------------------------------------------------------------------


def _models(workspace: Workspace, finder: ClipFinder, held: Sequence[Affected]) -> Iterator[Affected]:
    """Every trained model, by the training set and the dataset snapshots that its config names."""
    runs = {path.parents[1]: _json(path) for path in sorted(workspace.home.glob("models/*/*/model/config.json"))}
    holding = {one.name for one in held}
    sets = {
        str(config["training_set"])
        for run, config in runs.items()
        if f"{run.relative_to(workspace.home).as_posix()}/model/styles.safetensors" in holding
    }
    info = workspace.training_set / "info.json"
    if "training_set" in holding and info.is_file():
        sets.add(str(_json(info)["digest"]))
    corpora = {clip.split("/")[0] for clip in finder.ids}
    snapshots = _Snapshots(workspace, finder)
    for run, config in runs.items():
        name = run.relative_to(workspace.home).as_posix()
        if str(config["training_set"]) in sets:
            yield Affected("model", name, "made from", None, f"trained on training set {config['training_set']}")
            continue
        answers = [snapshots.accepted(digest) for c, digest in config["corpora"].items() if c in corpora]
        if any(count is None for count in answers):
            yield Affected("model", name, "unknown", None, "neither its training set nor its snapshot is here any more")
        elif count := sum(count or 0 for count in answers):
            yield Affected("model", name, "made from", count, "its dataset snapshot has them as accepted clips")


@dataclass(frozen=True)
class _Snapshots:
    """Datasets of the past in DVC's cache."""

    workspace: Workspace
    finder: ClipFinder

    def _object(self, md5: str) -> Path:
        return self.workspace.home / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]

    def accepted(self, digest: str) -> int | None:
        """How many of the clips the dataset with this `<md5>.dir` has as accepted; None where it is not here."""
        listing = self._object(digest)
        if not listing.is_file():
            return None
        files = {one["relpath"]: one["md5"] for one in json.loads(listing.read_text(encoding="utf-8"))}
        table = self._object(files.get("clips.parquet", "none"))
        if not table.is_file():
            return None
        rows = pq.read_table(table, columns=["clip_id"], filters=[("status", "==", "ok")])
        return len(self.finder.ids & set(rows["clip_id"].to_pylist()))


def _made_by(workspace: Workspace, models: set[str]) -> Iterator[Affected]:
    """What the models in use made, where one of them is affected; their records say it exactly, where there are any."""
    pointers = {path.parent.name: _json(path) for path in workspace.home.glob("models/*/current.json")}
    # The newest run, and the champion where there is one: both are used.
    used = {f"models/{family}/{run}" for family, names in pointers.items() for run in names.values()} & models
    if not used:
        return
    for path in files_of_home(workspace):
        if path.relative_to(workspace.home).parts[0] in _BY_MODELS:
            kind, output = kind_of_output(workspace, path)
            name = output.relative_to(workspace.home).as_posix()
            yield Affected(kind, name, "made from", None, f"made with {min(used)}")


def _json(path: Path) -> Mapping[str, Any]:
    values: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values
