"""What is said of every asset alike: tags by which a selection finds it, and the line of code that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

__all__ = ["with_story"]


def with_story(assets: Iterable[Any], corpora: Sequence[str]) -> list[Any]:
    """The assets with the tags `magictalk/stage`, `magictalk/corpus` and `magictalk/device`, and with code references.

    `tag:magictalk/corpus=mead` in the search of the UI shows one corpus.
    """

    def told(spec: dg.AssetSpec) -> dg.AssetSpec:
        tags = {"magictalk/stage": spec.group_name or "none"}
        if len(spec.key.path) > 1 and spec.key.path[0] in corpora:
            tags["magictalk/corpus"] = spec.key.path[0]
        tags["magictalk/device"] = "gpu" if "torch" in spec.kinds else "cpu"
        return spec.merge_attributes(tags=tags)

    made = [asset for asset in assets if isinstance(asset, dg.AssetsDefinition)]
    observed = [asset for asset in assets if not isinstance(asset, dg.AssetsDefinition)]
    return [*dg.with_source_code_references(list(dg.map_asset_specs(told, made))), *observed]
