"""What is said of every asset alike: tags by which a selection finds it, and the line of code that makes it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

__all__ = ["with_story"]


def with_story(assets: Iterable[Any], corpora: Sequence[str]) -> list[Any]:
    """The assets with the tags `magictalk/stage`, `magictalk/corpus` and `magictalk/device`, and with code references.

    `tag:"magictalk/corpus"="mead"` in the search of the UI shows one corpus.
    """
    return [_told(asset, corpora) if isinstance(asset, dg.AssetsDefinition) else asset for asset in assets]


def _told(asset: dg.AssetsDefinition, corpora: Sequence[str]) -> dg.AssetsDefinition:
    reference = dg.CodeReferencesMetadataValue(code_references=[_code_of(asset)])

    def told(spec: dg.AssetSpec) -> dg.AssetSpec:
        tags = {"magictalk/stage": spec.group_name or "none"}
        if len(spec.key.path) > 1 and spec.key.path[0] in corpora:
            tags["magictalk/corpus"] = spec.key.path[0]
        tags["magictalk/device"] = "gpu" if "torch" in spec.kinds else "cpu"
        return spec.merge_attributes(tags=tags, metadata={"dagster/code_references": reference})

    return asset.map_asset_specs(told)


def _code_of(asset: dg.AssetsDefinition) -> dg.LocalFileCodeReference:
    """Dagster's own helper would name the innermost decorator, which is the same line for all."""
    compute: Any = asset.op.compute_fn
    body = inspect.unwrap(compute.decorated_fn)
    return dg.LocalFileCodeReference(
        file_path=inspect.getsourcefile(body) or "", line_number=inspect.getsourcelines(body)[1]
    )
