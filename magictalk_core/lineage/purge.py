"""Purging: media, rows, pieces and copies of withdrawn clips leave the workspace and DVC for good.

Everything is found by content each time, so a purge that was killed goes on when it is asked for again. What it will
take out of DVC is written into the record before the first file goes: whoever restores an old snapshot is told why.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from magictalk_core.corpora.withdrawal_log import LogLine, WithdrawnClip, append_line, read_log
from magictalk_core.errors import PermanentError
from magictalk_core.lineage.affected import Affected, affected_outputs, files_of_home, holds_clips, kind_of_output
from magictalk_core.lineage.content import ClipFinder
from magictalk_core.lineage.dvc_objects import DvcObjects
from magictalk_core.lineage.purge_store import (
    cache_pieces,
    forget_headers,
    is_corpus_table,
    media_files,
    rewrite_corpus,
    strip_style_bank,
)
from magictalk_core.lineage.raw_left import RawLeft, raw_left
from magictalk_core.storage.hashes import file_md5
from magictalk_core.work.provenance import record_path
from magictalk_core.work.withdrawn_marks import mark_path
from magictalk_core.workspace import Workspace

__all__ = ["PurgePlan", "plan_purge", "purge", "whole_output"]

_CORPUS, _BANK = "corpus table", "style bank"
_MADE = frozenset({"table", "video", "picture", "report"})
"""Made from what held the clips, they may hold rows of theirs under another name: the nearest-speech baseline copies
motion of training clips frame by frame. A trained model holds weights alone, once its style bank is stripped."""

MADE_AS_A_WHOLE = {
    "arkit_dataset": 1, "training_set": 1, "generated": 2, "refined": 2, "lip_ablation": 2, "scores": 2,
    "seed_scores": 2, "set_scores": 2, "tables": 2, "videos": 2, "figures": 2, "report": 1, "lineage_report": 1,
    "picture_motion": 2, "picture_scores": 2, "paper": 1,
}  # fmt: skip
"""Folder of the workspace -> at how many levels below it what is made in one go lies."""


@dataclass(frozen=True)
class PurgePlan:
    """What a purge takes away. `tables` and `banks` are written anew without the clips, `outputs` are files and folders
    that hold them among others, or were made from them, and are made again by the next run; `objects` lie in DVC's
    cache and remotes, by store and md5; `raw` are the files that the clips were made from."""

    numbers: tuple[int, ...]
    finder: ClipFinder
    tables: tuple[Path, ...]
    banks: tuple[Path, ...]
    outputs: tuple[Path, ...]
    media: tuple[Path, ...]
    pieces: tuple[Path, ...]
    samples: tuple[Path, ...]
    objects: Mapping[str, Mapping[str, str]]
    raw: tuple[RawLeft, ...]

    def counts(self) -> dict[str, int]:
        """How many of each, for people and for the record."""
        parts = {
            name: len(getattr(self, name)) for name in ("tables", "banks", "outputs", "media", "pieces", "samples")
        }
        return parts | {f"objects in the {store}": len(found) for store, found in self.objects.items()}


def plan_purge(workspace: Workspace, numbers: Sequence[int], clips: Sequence[WithdrawnClip]) -> PurgePlan:
    """Look for everything that holds the clips of withdrawals; nothing is written."""
    finder = ClipFinder(clip.clip_id for clip in clips)
    found: dict[str, set[Path]] = {}
    for path in files_of_home(workspace):
        if holds_clips(workspace, path, finder):
            found.setdefault(kind_of_output(workspace, path)[0], set()).add(path)
    tables = {path for path in found.get(_CORPUS, ()) if is_corpus_table(workspace, path)}
    affected = affected_outputs(workspace, finder)
    others = {path for kind, paths in found.items() if kind != _BANK for path in paths} - tables
    others |= {workspace.home / one.name for one in affected if one.kind in _MADE}
    outputs = sorted({whole_output(workspace, path) for path in others})
    hashes = frozenset(md5 for clip in clips for md5 in (*clip.media_md5, clip.raw_md5, clip.raw_audio_md5) if md5)
    return PurgePlan(
        tuple(sorted(numbers)),
        finder,
        tuple(sorted(tables)),
        tuple(sorted({path.parent for path in found.get(_BANK, ())})),
        tuple(outputs),
        tuple(media_files(workspace, clips)),
        tuple(cache_pieces(workspace, finder)),
        tuple(_samples(workspace, affected)),
        _objects(workspace, numbers, finder, hashes | _content(outputs)),
        tuple(raw_left(workspace, clips)),
    )


def purge(workspace: Workspace, plan: PurgePlan, by: str, reason: str, with_raw: bool = False) -> LogLine:
    """Carry out the plan. Only while holding the workspace's run lock; killed, it goes on when called again."""
    for path in (*plan.outputs, *plan.samples):
        if path == workspace.home or not path.is_relative_to(workspace.home):
            raise PermanentError(f"{path} is no output of {workspace.home}: nothing was purged")
    objects = {md5: name for found in plan.objects.values() for md5, name in found.items()}
    append_line(workspace, by, reason, action="purge_begun", of=plan.numbers, objects=objects)
    # Tables first: whoever reads meanwhile reads of no clip whose media are gone.
    corpora = sorted({clip.split("/")[0] for clip in plan.finder.ids})
    for corpus in corpora:
        rewrite_corpus(workspace, corpus, plan.finder, plan.tables)
        forget_headers(workspace, corpus)
    for bank in plan.banks:
        strip_style_bank(bank, plan.finder.ids)
    for path in (*plan.outputs, *plan.samples):
        _remove_output(path)
    for path in (*plan.media, *plan.pieces):
        path.unlink(missing_ok=True)
    removed = plan.counts() | {"raw files": _remove_raw(workspace, plan.raw, with_raw)}
    with DvcObjects(workspace.home).stores() as stores:
        for store in stores:
            for md5 in plan.objects.get(store.name, ()):
                store.remove(md5)
    return append_line(workspace, by, reason, action="purged", of=plan.numbers, removed=removed)


def _content(outputs: Sequence[Path]) -> frozenset[str]:
    """The hashes of the files of outputs: DVC may hold them too, under no name."""
    files = (file for path in outputs for file in (path.rglob("*") if path.is_dir() else [path]))
    return frozenset(file_md5(file) for file in files if file.is_file())


def whole_output(workspace: Workspace, path: Path) -> Path:
    """What is removed together and made again together; of a folder of another kind the one file."""
    parts = path.relative_to(workspace.home).parts
    if parts[0] not in MADE_AS_A_WHOLE:
        return path
    folders = parts if path.is_dir() else parts[:-1]
    return Path(workspace.home, *(folders or parts)[: MADE_AS_A_WHOLE[parts[0]]])


def _remove_output(path: Path) -> None:
    for beside in (record_path(path), mark_path(path)):
        beside.unlink(missing_ok=True)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _remove_raw(workspace: Workspace, raw: Sequence[RawLeft], with_raw: bool) -> int:
    """Files that the workspace brought itself go; those of the user only `with_raw`; shared ones stay."""
    count = 0
    for one in raw:
        if one.exists and not one.others and (with_raw or one.is_local):
            target = Path(os.path.realpath(one.path))
            one.path.unlink()
            target.unlink(missing_ok=True)
            count += 1
    return count


def _samples(workspace: Workspace, affected: Sequence[Affected]) -> Iterator[Path]:
    """Videos that trainings logged of their validation clips, of every model that the clips had a part in."""
    for one in affected:
        note = workspace.home / one.name / "mlflow_run.json"
        if one.kind == "model" and note.is_file():
            run = str(json.loads(note.read_text(encoding="utf-8"))["run_id"])
            folder = workspace.mlflow / "artifacts" / run / "artifacts" / "samples"
            if run and folder.is_dir():
                yield folder


def _objects(
    workspace: Workspace, numbers: Sequence[int], finder: ClipFinder, hashes: frozenset[str]
) -> dict[str, dict[str, str]]:
    """By store; with what an interrupted purge said it would take: of a training set that lost its index first, nothing
    else tells."""
    earlier = {
        md5: name
        for line in read_log(workspace)
        if line.action == "purge_begun" and set(line.of) & set(numbers)
        for md5, name in line.objects.items()
    }
    found: dict[str, dict[str, str]] = {}
    objects = DvcObjects(workspace.home)
    with objects.stores() as stores:
        for store in stores:
            there = objects.holding(store, finder, hashes)
            found[store.name] = there | {md5: earlier[md5] for md5 in set(store.md5s()) & earlier.keys()}
    return found
