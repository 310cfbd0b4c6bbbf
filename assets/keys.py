"""Names that the assets of a corpus share: keys, partitions, owners."""

from __future__ import annotations

import dagster as dg

__all__ = ["GROUP", "OWNERS", "SHARD_STAGES", "corpus_key", "shard_partitions"]

GROUP = "corpora"
OWNERS = ["team:magictalk"]
SHARD_STAGES = ("media", "blendshapes", "speech")
"""In the order in which one shard goes through them."""


def shard_partitions(corpus: str) -> dg.DynamicPartitionsDefinition:
    return dg.DynamicPartitionsDefinition(name=f"{corpus}_shards")


def corpus_key(corpus: str, name: str) -> dg.AssetKey:
    return dg.AssetKey([corpus, name])
