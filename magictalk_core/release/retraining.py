"""Whether there is a reason to train again: enough new data, or new code, since what was trained last."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from magictalk_core.errors import MagicTalkError
from magictalk_core.models.families import FAMILIES
from magictalk_core.preparation.raw_changes import raw_changes
from magictalk_core.presets.preset import Preset
from magictalk_core.release.families import RELEASED
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIP_IDS, CLIPS
from magictalk_core.training.in_use import runs_in_use
from magictalk_core.training_set.assemble import training_corpora
from magictalk_core.vocabulary.clips import Split, Status
from magictalk_core.work.manifest import read_manifest
from magictalk_core.work.provenance import record_of
from magictalk_core.workspace import Workspace

__all__ = ["RetrainingNeed", "clips_behind", "retraining_need", "withdrawn_clips"]


@dataclass(frozen=True)
class RetrainingNeed:
    """`reasons` to train again, none where nothing is asked for; `found` says what was looked at, in words."""

    reasons: tuple[str, ...]
    found: str

    @property
    def is_one(self) -> bool:
        return bool(self.reasons)

    def __str__(self) -> str:
        return "; ".join(self.reasons) or self.found


def retraining_need(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> RetrainingNeed:
    """New code, a family without a model, a withdrawn clip in the newest model, or `retraining.min_new_hours` of
    clips that neither the champion nor the newest model was trained on.

    The hours of raw files that nobody looked at yet are guessed by their size, so that a schedule that prepares them
    itself does not wait for somebody to do so.
    """
    try:
        packed = training_corpora(workspace, corpora, preset.training_set)
        hours = sum(_new_hours(workspace, corpus) for corpus in packed)
    except MagicTalkError as error:
        return RetrainingNeed((), f"not looked at: {error}")
    reasons = [*_new_code(workspace)]
    without = sorted({clip for run in _newest(workspace) for clip in withdrawn_clips(workspace, packed, run)})
    if without:
        reasons.append(f"{len(without)} clips that the newest models were trained on are withdrawn, as {without[0]}")
    least = preset.retraining.min_new_hours
    if hours and hours >= least:
        reasons.append(f"about {hours:.2g} h of clips that no model was trained on")
    return RetrainingNeed(tuple(reasons), f"about {hours:.2g} h of new clips, {least:g} h are waited for; no new code")


def _newest(workspace: Workspace) -> Iterator[Path]:
    """The run directories of the newest models."""
    for family in RELEASED:
        found = runs_in_use(workspace.models(family))
        if found is not None:
            yield workspace.models(family) / found.newest


def _runs(workspace: Workspace) -> Iterator[Path]:
    """The run directories of the newest models, and of those in use."""
    for family in RELEASED:
        out = workspace.models(family)
        found = runs_in_use(out)
        if found is not None:
            yield from (out / run for run in {found.newest, found.champion or found.newest})


def _new_code(workspace: Workspace) -> Iterator[str]:
    trained = {run.parent.name: run for run in _newest(workspace)}
    for family in RELEASED:
        if family not in trained:
            yield f"no model of {family} was trained yet"
            continue
        config = json.loads((trained[family] / "model" / "config.json").read_text(encoding="utf-8"))
        version = FAMILIES[family].version
        if config["version"] != version:
            yield f"{family} has code version {version}, the newest model was trained by {config['version']}"


def clips_behind(workspace: Workspace, run: Path) -> frozenset[str]:
    """Ids of the clips that the model of a run was trained on, by its record; none where it has none."""
    record = record_of(run / "model")
    if record is None or record.clips is None:
        return frozenset()
    return frozenset(read_frame(CLIP_IDS, workspace.home / record.clips.file)["clip_id"])


def withdrawn_clips(workspace: Workspace, corpora: Sequence[str], run: Path) -> frozenset[str]:
    """Of the clips behind a run those that are withdrawn now."""
    behind = clips_behind(workspace, run)
    gone = [clips[clips["status"] == Status.WITHDRAWN] for clips in (_clips(workspace, c) for c in corpora)]
    return behind & {str(clip) for each in gone for clip in each["clip_id"]}


def _clips(workspace: Workspace, corpus: str) -> pd.DataFrame:
    table = workspace.clips_table(corpus)
    columns = ["clip_id", "status", "split", "duration_s"]
    return read_frame(CLIPS, table, columns=columns) if table.is_file() else pd.DataFrame(columns=columns)


def _new_hours(workspace: Workspace, corpus: str) -> float:
    """Hours of accepted clips to learn from that are behind no model, and a guess for raw files not looked at yet."""
    clips, changes = _clips(workspace, corpus), raw_changes(workspace, corpus)
    learned = clips[(clips["status"] == Status.OK) & (clips["split"] != Split.TEST)]
    fresh = learned[~learned["clip_id"].isin(_known(workspace, corpus))]
    # Without a listing nothing is known of these files: a low bit rate, so that a new corpus is not overlooked.
    per_byte = learned["duration_s"].sum() / changes.known_bytes if changes.known_bytes else 8 / 1e6
    return float(fresh["duration_s"].sum() + changes.new_bytes * per_byte) / 3600


def _known(workspace: Workspace, corpus: str) -> set[str]:
    """Clips behind the newest models and the champions. A model without a record was trained on what its manifests
    say: all of the corpus, where that is still the same."""
    known: set[str] = set()
    for run in _runs(workspace):
        behind = clips_behind(workspace, run)
        if not behind:
            config = json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))
            if config["corpora"].get(corpus) == read_manifest(workspace.manifest(corpus)).digest:
                behind = frozenset(_clips(workspace, corpus)["clip_id"])
        known |= behind
    return known
