"""What was made from something, and what a change of it would make again: exactly its descendants.

Both are one question to the records: whose inputs name it. Where a consumer reads only a part of an output, as a shard
its own rows of the index and a training all but the test split, it is followed only when that part is touched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow.parquet as pq

from magictalk_core.lineage.clip_index import ClipIndex
from magictalk_core.lineage.graph import CURRENT, Graph, Node, group_of, is_group, node_of
from magictalk_core.lineage.reference import Subject
from magictalk_core.lineage.registry import Registry
from magictalk_core.training_set.dataset import LEARNED
from magictalk_core.vocabulary.clips import Split
from magictalk_core.work.provenance import Input, Provenance

__all__ = ["ClipChange", "descendants_of_clips", "descendants_of_records", "downstream_graph"]


@dataclass(frozen=True)
class ClipChange:
    """Clips that change, as far as what is made from them can tell: their shards, and whether trainings see them."""

    corpora: frozenset[str]
    shards: frozenset[tuple[str, str]]
    is_learned: bool

    @classmethod
    def of(cls, registry: Registry, rows: pd.DataFrame) -> ClipChange:
        """`rows` of the index. A clip is learned from when it is packed outside of the test split."""
        shards = frozenset(zip(rows["corpus"].astype(str), rows["shard"].astype(str), strict=True))
        packed = registry.workspace.training_set / "index.parquet"
        is_learned = bool((rows["split"] != Split.TEST).any())
        if packed.is_file():
            table = pq.read_table(packed, columns=["clip_id", "split"]).to_pandas()
            table = table[table["clip_id"].isin(rows["clip_id"])]
            is_learned = is_learned or bool((table["split"] != Split.TEST).any())
        return cls(frozenset(rows["corpus"].astype(str)), shards, is_learned)

    def touches(self, source: Provenance, one: Input) -> bool:
        """Whether a consumer that reads `one` of `source` is made from what changes."""
        if one.part is None:
            return True
        if one.kind == "index":
            return (source.name.split("/")[1], one.part) in self.shards
        return self.is_learned if one.part == LEARNED else True


def descendants_of_clips(registry: Registry, rows: pd.DataFrame) -> list[Provenance]:
    """What would be made again if these rows of the index changed: current records, in the order of making."""
    change = ClipChange.of(registry, rows)
    start = [
        record
        for (kind, name), record in registry.current.items()
        if kind == "source" and name.split("/")[1] in change.corpora
    ]
    return _follow(registry, start, change, only_current=True)


def descendants_of_records(registry: Registry, records: Iterable[Provenance]) -> list[Provenance]:
    """What was ever made from these outputs, replaced ones included; without themselves."""
    start = list(records)
    found = _follow(registry, start, None, only_current=False)
    return [record for record in found if record not in start]


def _follow(
    registry: Registry, start: Sequence[Provenance], change: ClipChange | None, only_current: bool
) -> list[Provenance]:
    seen = {id(record) for record in start}
    found, waiting = list(start), deque(start)
    while waiting:
        source = waiting.popleft()
        for consumer, one in registry.consumers.get((source.kind, source.md5), ()):
            if id(consumer) in seen or (only_current and not registry.is_current(consumer)):
                continue
            if registry.source_of(one) is not source:
                continue  # another output of the same bytes, as an empty shard
            if change is not None and not change.touches(source, one):
                continue
            seen.add(id(consumer))
            found.append(consumer)
            waiting.append(consumer)
    return found


def downstream_graph(registry: Registry, clips: ClipIndex, subject: Subject) -> tuple[Graph, list[Provenance]]:
    """The graph of what was made from the subject, and the records in it."""
    graph = Graph()
    if subject.clips:
        found = descendants_of_clips(registry, clips.of_ids(subject.clips))
        root = Node(f"asked:{subject.title}", "clip", subject.title, "", CURRENT, len(subject.clips), note=subject.how)
        graph.roots.append(graph.add(root))
    else:
        found = descendants_of_records(registry, subject.records)
        graph.roots += [graph.add(node_of(registry, record)) for record in subject.records]
    _draw(registry, graph, subject, found)
    return graph, found


def _draw(registry: Registry, graph: Graph, subject: Subject, found: Sequence[Provenance]) -> None:
    by_kind: dict[tuple[str, str], list[Provenance]] = {}
    for record in found:
        by_kind.setdefault((record.kind, record.name.rsplit("/", 1)[0]), []).append(record)
    key_of = {(r.kind, r.name, r.md5): node_of(registry, r).key for r in subject.records}
    for (kind, _), records in by_kind.items():
        nodes = [group_of(registry, kind, records)] if is_group(kind, len(records)) else None
        for record in records:
            node = nodes[0] if nodes else node_of(registry, record)
            key_of[record.kind, record.name, record.md5] = graph.add(node)
    for record in found:
        made, linked = key_of[record.kind, record.name, record.md5], False
        for one in record.inputs:
            source = registry.source_of(one)
            key = None if source is None else key_of.get((source.kind, source.name, source.md5))
            if key is not None and key != made:
                graph.connect(key, made)
                linked = True
        if not linked:
            graph.connect(graph.roots[0], made)
