"""What Dagster's own records say of an asset."""

from __future__ import annotations

import dagster as dg

__all__ = ["DATA_VERSION_TAG", "recorded_versions"]

DATA_VERSION_TAG = "dagster/data_version"
"""On every event that names the content of an asset."""


def recorded_versions(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, str]:
    """partition -> data version of its newest materialization, in one question for all partitions."""
    tags = instance.event_log_storage.get_latest_tags_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION_TAG]
    )
    return {partition: found[DATA_VERSION_TAG] for partition, found in tags.items() if DATA_VERSION_TAG in found}
