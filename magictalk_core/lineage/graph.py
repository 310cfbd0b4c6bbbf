"""From records to a graph of what was made from what.

Shards and videos are drawn as one group from four on, and clips are only counted: a corpus of 2,000 shards and 300,000
clips is a page.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from magictalk_core.lineage.clip_index import ClipIndex, RawFile
from magictalk_core.lineage.reference import Subject
from magictalk_core.lineage.registry import Registry
from magictalk_core.storage.hashes import digest_of
from magictalk_core.work.provenance import Input, Provenance

__all__ = [
    "CURRENT",
    "GROUP_FROM",
    "NOT_RECORDED",
    "RAW",
    "REPLACED",
    "Graph",
    "Member",
    "Node",
    "group_of",
    "is_group",
    "node_of",
    "upstream_graph",
]

GROUP_FROM = 4
_MANY = 12
_GROUPED = frozenset({"media", "blendshapes", "speech", "raw", "video"})
GIVEN = frozenset({"registration", "labels", "audio", "portrait", "video_file", "curves", "raw", "answers"})
"""Kinds of inputs that people give."""

CURRENT, REPLACED, NOT_RECORDED, RAW = "current", "replaced since", "no record", "given"


@dataclass(frozen=True)
class Member:
    """One output or raw file of a group."""

    name: str
    md5: str
    clips: int | None = None


@dataclass(frozen=True)
class Node:
    """An output, a raw file, or a group of them. `clips` says how many are behind it."""

    key: str
    kind: str
    name: str
    md5: str
    state: str
    clips: int | None = None
    record: Provenance | None = None
    members: tuple[Member, ...] = ()
    note: str = ""


@dataclass
class Graph:
    """`edges` (from, to): `to` was made from `from`. `roots` are what was asked about."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)
    _known: set[tuple[str, str]] = field(default_factory=set)

    def add(self, node: Node) -> str:
        self.nodes.setdefault(node.key, node)
        return node.key

    def connect(self, source: str, made: str) -> None:
        if (source, made) not in self._known:
            self._known.add((source, made))
            self.edges.append((source, made))

    def links(self, upstream: bool) -> dict[str, list[str]]:
        """Node -> what it was made from, or else what was made from it."""
        found: dict[str, list[str]] = defaultdict(list)
        for source, made in self.edges:
            near, far = (made, source) if upstream else (source, made)
            found[near].append(far)
        return found


def node_of(registry: Registry, record: Provenance) -> Node:
    state = CURRENT if registry.is_current(record) else REPLACED
    clips = None if record.clips is None else record.clips.count
    return Node(f"{record.kind}:{record.name}:{record.md5}", record.kind, record.name, record.md5, state, clips, record)


def group_of(registry: Registry, kind: str, records: Sequence[Provenance]) -> Node:
    """Several outputs of a kind as one node; its hash is over theirs."""
    members = tuple(Member(r.name, r.md5, None if r.clips is None else r.clips.count) for r in records)
    digest = digest_of({member.name: member.md5 for member in members})
    counted = [member.clips for member in members if member.clips is not None]
    states = {CURRENT if registry.is_current(record) else REPLACED for record in records}
    state = CURRENT if states == {CURRENT} else REPLACED
    folder = records[0].name.rsplit("/", 1)[0]
    name = f"{folder}/ ({len(members)})"
    return Node(f"{kind}:{name}:{digest}", kind, name, digest, state, sum(counted) if counted else None, None, members)


def is_group(kind: str, count: int) -> bool:
    """Whether so many outputs of a kind are drawn as one: shards and videos soon, others where there are very many."""
    return count >= (GROUP_FROM if kind in _GROUPED else _MANY)


class _Upstream:
    """Follows inputs from what is asked about to raw files."""

    def __init__(self, registry: Registry, clips: ClipIndex) -> None:
        self.registry, self.clips, self.graph = registry, clips, Graph()
        self._waiting: deque[tuple[str, tuple[Input, ...]]] = deque()

    def follow(self, subject: Subject) -> Graph:
        for record in subject.records:
            node = node_of(self.registry, record)
            self.graph.roots.append(self._enter(node, record.inputs))
        if subject.inputs:
            root = Node(f"asked:{subject.title}", "video", subject.title, "", NOT_RECORDED, note=subject.how)
            self.graph.roots.append(self._enter(root, subject.inputs))
        if subject.clips:
            self.graph.roots.append(self._clips_node(subject))
        while self._waiting:
            key, inputs = self._waiting.popleft()
            self._expand(key, inputs)
        return self.graph

    def _enter(self, node: Node, inputs: Iterable[Input]) -> str:
        if node.key not in self.graph.nodes:
            self.graph.add(node)
            self._waiting.append((node.key, tuple(inputs)))
        return node.key

    def _expand(self, key: str, inputs: Sequence[Input]) -> None:
        by_kind: dict[str, list[Provenance]] = defaultdict(list)
        for one in inputs:
            source = self.registry.source_of(one)
            if source is not None:
                by_kind[one.kind].append(source)
            else:
                self._leaf(key, one)
        for kind, records in by_kind.items():
            if not is_group(kind, len(records)):
                for record in records:
                    self.graph.connect(self._enter(node_of(self.registry, record), record.inputs), key)
            else:
                merged = {(i.kind, i.name, i.md5): i for record in records for i in record.inputs}
                node = group_of(self.registry, kind, records)
                self.graph.connect(self._enter(node, merged.values()), key)
        own = self.graph.nodes[key].record
        if own is not None and own.kind == "source":
            self._raw_files(key, own)

    def _leaf(self, key: str, one: Input) -> None:
        """What has no record: given by people, a standardized clip, or unknown."""
        if one.kind == "clip":
            clip = self.clips.of_media(one.name)
            node = Node(f"clip:{one.name}:{one.md5}", "clip", one.name, one.md5, CURRENT, 1, note=clip or "")
            self.graph.connect(self.graph.add(node), key)
            for file in self.clips.raw_files(self.clips.of_ids([clip] if clip else [])):
                self._raw(node.key, file)
            return
        state = RAW if one.kind in GIVEN else NOT_RECORDED
        node = Node(f"{one.kind}:{one.name}:{one.md5}", one.kind, one.name, one.md5, state)
        self.graph.connect(self.graph.add(node), key)

    def _raw(self, key: str, file: RawFile) -> None:
        node = Node(f"raw:{file.corpus}/{file.path}:{file.md5}", "raw", f"{file.corpus}/{file.path}", file.md5, RAW)
        self.graph.connect(self.graph.add(node), key)

    def _raw_files(self, key: str, source: Provenance) -> None:
        """All raw files of a corpus as one node."""
        corpus = source.name.split("/")[1]
        files = self.clips.raw_files(self.clips.rows[self.clips.rows["corpus"] == corpus])
        members = tuple(Member(f"{file.corpus}/{file.path}", file.md5) for file in files)
        name = f"{corpus}: raw files ({len(members)})"
        node = Node(f"raw:{corpus}", "raw", name, source.version, RAW, None, None, members)
        self.graph.connect(self.graph.add(node), key)

    def _clips_node(self, subject: Subject) -> str:
        """A clip, a speaker or a raw file: what it is cut from."""
        node = Node(f"asked:{subject.title}", "clip", subject.title, "", CURRENT, len(subject.clips), note=subject.how)
        self.graph.add(node)
        files = self.clips.raw_files(self.clips.of_ids(subject.clips))
        if not is_group("raw", len(files)):
            for file in files:
                self._raw(node.key, file)
        else:
            members = tuple(Member(f"{file.corpus}/{file.path}", file.md5) for file in files)
            digest = digest_of({member.name: member.md5 for member in members})
            name = f"{subject.title}: raw files ({len(members)})"
            group = Node(f"raw:{subject.title}", "raw", name, digest, RAW, None, None, members)
            self.graph.connect(self.graph.add(group), node.key)
        return node.key


def upstream_graph(registry: Registry, clips: ClipIndex, subject: Subject) -> Graph:
    """What the subject was made from, down to raw files."""
    return _Upstream(registry, clips).follow(subject)
