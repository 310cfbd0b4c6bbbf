"""The training set of a workspace: which tables of which corpora go in, and that nothing leaks between splits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from magictalk_core.config import DataSettings, TrainingSetConfig
from magictalk_core.corpora.kinds import corpus_of
from magictalk_core.corpora.registry import load_corpus
from magictalk_core.corpora.splits import check_disjoint, is_split_by_clip
from magictalk_core.corpora.withdrawals import read_withdrawals
from magictalk_core.errors import UserError
from magictalk_core.preparation.withdrawn import current_clips
from magictalk_core.storage.hashes import digest_of
from magictalk_core.training_set.build import TrainingSetInfo, build_training_set
from magictalk_core.training_set.copies import excluded_copies
from magictalk_core.training_set.dataset import LEARNED, TRAINING_SET_VERSION, TrainingSet
from magictalk_core.training_set.shard_clips import CorpusTables
from magictalk_core.training_set.style_clips import style_clips
from magictalk_core.training_set.sync_gate import OpenJudge, SyncGate, expert_folder
from magictalk_core.vocabulary.clips import Status
from magictalk_core.work.manifest import manifest_inputs, read_manifest
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["assemble_training_set", "corpus_tables", "split_leaks", "training_corpora"]

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


def training_corpora(workspace: Workspace, corpora: Sequence[str], config: TrainingSetConfig) -> tuple[str, ...]:
    """Those of the registered `corpora` that go in: what the preset names, else all but those registered without."""
    unknown = sorted(set(config.corpora) - set(corpora))
    if unknown:
        raise UserError(f"training_set.corpora names {unknown}, which are not registered: see `magictalk corpus list`")
    return config.corpora or tuple(name for name in corpora if load_corpus(workspace, name).training)


def assemble_training_set(
    workspace: Workspace, corpora: Sequence[str], settings: DataSettings, open_judge: OpenJudge
) -> TrainingSetInfo:
    """Pack the corpora that `training_corpora` says, or return the finished set of the same work.

    `open_judge` opens the expert of the sync gate.
    """
    config = settings.training_set
    wanted = training_corpora(workspace, corpora, config)
    gone = _withdrawn(workspace, corpora, wanted)
    work = _work(workspace, corpora, wanted, settings, gone)
    if not work.is_made():
        packed = _pack(workspace, corpora, wanted, settings, open_judge, gone)
        digests = {"dagster": packed.info["digest"], LEARNED: packed.info[LEARNED]}
        work.record(clips=packed.index["clip_id"], digests=digests)
    info = TrainingSet.open(workspace.training_set).info
    return TrainingSetInfo(str(info["digest"]), info["counts"])


def _pack(
    workspace: Workspace,
    corpora: Sequence[str],
    wanted: Sequence[str],
    settings: DataSettings,
    open_judge: OpenJudge,
    gone: frozenset[str],
) -> TrainingSet:
    config, feature = settings.training_set, settings.speech.feature
    tables = {corpus: corpus_tables(workspace, corpus) for corpus in wanted}
    # All corpora are looked at: evaluation uses the held-out clips of every one.
    everywhere = _clips(workspace, corpora).to_dict("records")
    styles = style_clips((row for row in everywhere if row["corpus"] in wanted), settings.quality)
    excluded = excluded_copies(everywhere, frozenset(wanted), settings.quality, styles)
    for one in excluded.values():
        logger.info("%s is left out of the training set: %s", one.clip_id, one.detail)
    gate = SyncGate.open(config.sync_gate, open_judge, workspace.home / "models") if config.sync_gate.expert else None
    build_training_set(tables, config, feature, workspace.training_set, excluded, gate, styles, gone)
    return TrainingSet.open(workspace.training_set)


def _work(
    workspace: Workspace,
    corpora: Sequence[str],
    wanted: Sequence[str],
    settings: DataSettings,
    withdrawn: frozenset[str],
) -> Work:
    """All corpora are inputs: copies of a clip are looked for in every one, wherever they may be packed from."""
    home, config = workspace.home, settings.training_set
    inputs = list(manifest_inputs(workspace, corpora))
    if config.sync_gate.expert:
        inputs.append(input_of(home, "model", expert_folder(config.sync_gate.expert).absolute()))
    read: dict[str, Any] = {
        "training_set": config.model_dump(mode="json", exclude={"sync_gate": {"expert"}}) | {"corpora": [*wanted]},
        "quality": settings.quality.model_dump(mode="json"),
        "feature": settings.speech.feature,
    }
    if withdrawn:
        read["withdrawn"] = digest_of({"clips": sorted(withdrawn)})
    return Work(home, "training_set", workspace.training_set, TRAINING_SET_VERSION, inputs, read)


def _withdrawn(workspace: Workspace, corpora: Sequence[str], wanted: Sequence[str]) -> frozenset[str]:
    """Clips of the corpora that go in which a withdrawal in force has taken."""
    if not read_withdrawals(workspace).active:
        return frozenset()
    clips = _clips(workspace, corpora)
    return frozenset(map(str, clips["clip_id"][(clips["status"] == Status.WITHDRAWN) & clips["corpus"].isin(wanted)]))


def _clips(workspace: Workspace, corpora: Sequence[str]) -> pd.DataFrame:
    frames = [current_clips(workspace, corpus) for corpus in corpora]
    return pd.concat([frame.astype(object).where(frame.notna(), None) for frame in frames])


def split_leaks(workspace: Workspace, corpora: Sequence[str]) -> list[str]:
    """What is in more than one split of the training set: a speaker, a recording, a file; empty in a sound one."""
    packed = set(pq.read_table(workspace.training_set / "index.parquet", columns=["clip_id"])["clip_id"].to_pylist())
    clips = _clips(workspace, corpora)
    by_clip = {
        str(corpus)
        for corpus, rows in clips.groupby("corpus")
        if is_split_by_clip(corpus_of(load_corpus(workspace, str(corpus))).split, rows["speaker"])
    }
    return check_disjoint(clips[clips["clip_id"].isin(packed)], by_clip)
