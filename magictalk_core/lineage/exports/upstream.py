"""The records behind a record."""

from __future__ import annotations

from magictalk_core.lineage.registry import Registry
from magictalk_core.work.provenance import Provenance

__all__ = ["upstream_records"]


def upstream_records(registry: Registry, record: Provenance) -> list[Provenance]:
    """Every record that `record` was made from, as it was read then; itself first, each once."""
    found = {(record.kind, record.name, record.md5): record}
    waiting = [record]
    while waiting:
        for used in waiting.pop().inputs:
            behind = registry.source_of(used)
            if behind is not None and (behind.kind, behind.name, behind.md5) not in found:
                found[behind.kind, behind.name, behind.md5] = behind
                waiting.append(behind)
    return list(found.values())
