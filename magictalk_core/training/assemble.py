"""The training set of a workspace: which tables of which corpora go in, and the check that no speaker leaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from magictalk_core.config import Preset
from magictalk_core.errors import UserError
from magictalk_core.lineage.manifest import read_manifest
from magictalk_core.training.dataset import CorpusTables, TrainingSetInfo, build_training_set
from magictalk_core.workspace import Workspace

__all__ = ["assemble_training_set", "corpus_tables", "speakers_in_several_splits"]


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
    return build_training_set(tables, preset.training_set, preset.speech.feature, workspace.training_set)


def speakers_in_several_splits(training_set: Path) -> list[str]:
    """Speakers (corpus/speaker) that occur in more than one split; empty in a sound training set."""
    index = pq.read_table(training_set / "index.parquet", columns=["corpus", "speaker", "split"]).to_pandas()
    splits = index.groupby(["corpus", "speaker"])["split"].nunique()
    return [f"{corpus}/{speaker}" for corpus, speaker in splits[splits > 1].index]
