"""The training set of a workspace: which tables of which corpora go in, and that nothing leaks between splits."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import pandas as pd
import pyarrow.parquet as pq

from magictalk_core.config import Preset, SyncGateConfig
from magictalk_core.corpora.splits import check_disjoint
from magictalk_core.errors import UserError
from magictalk_core.preparation.duplicates import leaking_copies
from magictalk_core.storage.parquet import read_frame
from magictalk_core.storage.schema import CLIPS
from magictalk_core.training_set.build import ClipJudge, CorpusTables, TrainingSetInfo, build_training_set
from magictalk_core.work.manifest import read_manifest
from magictalk_core.workspace import Workspace

__all__ = ["assemble_training_set", "corpus_tables", "split_leaks"]

logger = logging.getLogger("magictalk.training")


def corpus_tables(workspace: Workspace, corpus: str) -> CorpusTables:
    """The files that the manifest of `corpus` names."""
    manifest = read_manifest(workspace.manifest(corpus))
    dataset = workspace.dataset(corpus)
    names = [name for name, _ in manifest.entries]
    return CorpusTables(
        clips=workspace.clips_table(corpus),
        frames=[dataset / n for n in names if n.startswith("blendshapes/")],
        speech=[dataset / n for n in names if n.startswith("speech/")],
        digest=manifest.digest,
    )


def assemble_training_set(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> TrainingSetInfo:
    """Pack the corpora that the preset asks for, or all of them."""
    wanted = preset.training_set.corpora or tuple(corpora)
    unknown = sorted(set(wanted) - set(corpora))
    if unknown:
        raise UserError(f"training_set.corpora names {unknown}, which are not registered: see `magictalk corpus list`")
    tables = {corpus: corpus_tables(workspace, corpus) for corpus in wanted}
    copies = leaking_copies(_clips(tables.values()).to_dict("records"), preset.quality)
    for copy, original in copies.items():
        logger.warning("%s is left out: the same recording is held out as %s", copy, original)
    judge = _sync_gate(preset.training_set.sync_gate)
    feature = preset.speech.feature
    return build_training_set(tables, preset.training_set, feature, workspace.training_set, frozenset(copies), judge)


def _sync_gate(config: SyncGateConfig) -> ClipJudge | None:
    if not config.expert:
        return None
    # torch is loaded for a gate only.
    from magictalk_core.training_set.sync_gate import SyncGate

    return SyncGate.load(config)


def _clips(tables: Iterable[CorpusTables]) -> pd.DataFrame:
    frames = [read_frame(CLIPS, t.clips) for t in tables]
    return pd.concat([frame.astype(object).where(frame.notna(), None) for frame in frames])


def split_leaks(workspace: Workspace, corpora: Sequence[str]) -> list[str]:
    """What is in more than one split of the training set: a speaker, a recording, a file; empty in a sound one."""
    packed = set(pq.read_table(workspace.training_set / "index.parquet", columns=["clip_id"])["clip_id"].to_pylist())
    clips = _clips([corpus_tables(workspace, corpus) for corpus in corpora])
    return check_disjoint(clips[clips["clip_id"].isin(packed)])
