"""Names that the assets of a corpus share: keys, partitions, owners, the stage of DVC."""

from __future__ import annotations

import dagster as dg

__all__ = ["GROUP", "OWNERS", "SHARD_STAGES", "corpus_key", "dvc_stage", "shard_partitions"]

GROUP = "corpora"
OWNERS = ["team:magictalk"]
SHARD_STAGES = ("media", "blendshapes", "speech")
"""In the order in which one shard goes through them."""


def shard_partitions(corpus: str) -> dg.DynamicPartitionsDefinition:
    return dg.DynamicPartitionsDefinition(name=f"{corpus}_shards")


def corpus_key(corpus: str, name: str) -> dg.AssetKey:
    return dg.AssetKey([corpus, name])


def dvc_stage(corpus: str) -> str:
    """The stage of `dvc.yaml` that owns the dataset directory of `corpus`."""
    return f"dataset@{corpus}"
