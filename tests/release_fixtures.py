"""A workspace of numbers, without any media: a corpus in tables, a training set, and models trained in a second."""

from __future__ import annotations

from pathlib import Path

from training_fixtures import FEATURE_ID, preset, write_tables

from magictalk_core.corpora.registry import add_corpus, new_entry
from magictalk_core.models.families import FAMILIES
from magictalk_core.presets.preset import Preset
from magictalk_core.training.run import TrainedModel, train
from magictalk_core.training.tracking import MemoryTracker
from magictalk_core.training_set.build import build_training_set
from magictalk_core.work.manifest import build_manifest
from magictalk_core.workspace import Workspace

CORPUS = "toy"
WEAK, STRONG = 1, 8
"""Epochs of EmoDiff; the mouth error of the second is smaller on every test clip. Neither follows the speech yet."""


def toy_workspace(home: Path, speakers: dict[str, str] | None = None) -> Workspace:
    """`speakers`: speaker to split; by default three to train on, one held out to look at, one to test on."""
    workspace = Workspace(home)
    add_corpus(workspace, new_entry(name=CORPUS, kind="folder", root=home.parent))
    written = write_tables(workspace.dataset(CORPUS) / "all", speakers=speakers)
    dataset = workspace.dataset(CORPUS)
    written.clips.replace(workspace.clips_table(CORPUS))
    for table, files in (("blendshapes", written.frames), ("speech", written.speech)):
        for speaker in speakers or ("m1", "m2", "w1", "w2", "w3"):
            target = workspace.shard_table(CORPUS, table, speaker)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(files[0].read_bytes())
        files[0].unlink()
        files[0].parent.rmdir()
    (dataset / "all").rmdir()
    pack(workspace)
    return workspace


def pack(workspace: Workspace) -> None:
    """Manifest and training set of the tables as they are."""
    from magictalk_core.training_set.shard_clips import CorpusTables

    digest = build_manifest(workspace.dataset(CORPUS), workspace.manifest(CORPUS)).digest
    first = [sorted((workspace.dataset(CORPUS) / table).glob("*.parquet"))[:1] for table in ("blendshapes", "speech")]
    tables = CorpusTables(workspace.clips_table(CORPUS), *first, digest)
    build_training_set({CORPUS: tables}, preset().training_set, FEATURE_ID, workspace.training_set)


def trained(workspace: Workspace, epochs: int, family: str = "emodiff") -> TrainedModel:
    """The newest model of the family, as a training with so many epochs leaves it."""
    out = workspace.models(family)
    return train(FAMILIES[family], asked(epochs), workspace.training_set, out, MemoryTracker())


def asked(epochs: int) -> Preset:
    """The preset of such a training; models are compared in errors, which a second of training makes smaller."""
    values = preset(training={"epochs": epochs, "learning_rate": 4e-3}).model_dump()
    rules = [{"metric": name, "better": "lower", "margin": 0.002} for name in ("mae_mouth", "mae_brows")]
    values["release"]["emodiff"]["metrics"] = rules
    return Preset.model_validate(values)
