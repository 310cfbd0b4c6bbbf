"""Names that the assets of a corpus share: keys, partitions, owners."""

from __future__ import annotations

import dagster as dg

__all__ = [
    "BY_HAND",
    "DATASETS",
    "INGEST",
    "OWNERS",
    "RECIPES",
    "RENDERERS",
    "SEEDS",
    "SHARDS",
    "SHARD_STAGES",
    "corpus_key",
    "shard_partitions",
]

INGEST, SHARDS, DATASETS = "ingest", "shards", "datasets"
"""Groups of the assets of a corpus, by stage: looked at, decoded and measured, put together and recorded."""

RECIPES, SEEDS, RENDERERS = "recipes", "seeds", "renderers"
BY_HAND = (RECIPES, SEEDS, RENDERERS)
"""Groups that are made when they are asked for by name, and never else: they train for hours."""

OWNERS = ["team:magictalk"]
SHARD_STAGES = ("media", "blendshapes", "speech")
"""In the order in which one shard goes through them."""


def shard_partitions(corpus: str) -> dg.DynamicPartitionsDefinition:
    return dg.DynamicPartitionsDefinition(name=f"{corpus}_shards")


def corpus_key(corpus: str, name: str) -> dg.AssetKey:
    return dg.AssetKey([corpus, name])
