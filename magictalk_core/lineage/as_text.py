"""A lineage graph as an indented tree for a terminal, and as values for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from magictalk_core.lineage.graph import CURRENT, Graph, Node

__all__ = ["as_values", "tree_lines"]

_SHOWN_MEMBERS = 40


def tree_lines(graph: Graph, upstream: bool = True, all_members: bool = False) -> Iterator[str]:
    """A line per output, each with its inputs (downstream: its consumers) once; the second time it is only named."""
    links, shown = graph.links(upstream), set[str]()
    for root in graph.roots:
        yield _line(graph.nodes[root])
        shown.add(root)
        yield from _below(graph, links, root, "", shown, all_members)


def _below(
    graph: Graph, links: dict[str, list[str]], key: str, indent: str, shown: set[str], all_members: bool
) -> Iterator[str]:
    below = links.get(key, [])
    for place, child in enumerate(below):
        is_last = place == len(below) - 1
        node = graph.nodes[child]
        branch, rest = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        again = child in shown and (links.get(child) or node.members)
        yield f"{indent}{branch}{_line(node)}{'  (see above)' if again else ''}"
        if child in shown:
            continue
        shown.add(child)
        yield from _members(node, indent + rest, all_members)
        yield from _below(graph, links, child, indent + rest, shown, all_members)


def _members(node: Node, indent: str, all_members: bool) -> Iterator[str]:
    """Raw files are what a lineage ends in: they are listed where they are few, other members with `--all`."""
    if not node.members:
        return
    if not all_members and (node.kind != "raw" or len(node.members) > _SHOWN_MEMBERS):
        return
    for member in node.members:
        yield f"{indent}·  {member.md5}  {member.name}"


def _line(node: Node) -> str:
    parts = [node.kind, node.name] if node.kind not in node.name else [node.name]
    if node.md5:
        parts.append(node.md5)
    if node.clips is not None:
        parts.append(f"{node.clips} clip{'s' if node.clips != 1 else ''}")
    if node.note:
        parts.append(node.note)
    record = node.record
    if record is not None:
        commit = f"@{record.code.commit[:8]}{'+' if record.code.dirty else ''}" if record.code.commit else ""
        parts.append(f"{record.made:%Y-%m-%d %H:%M}Z by {record.code.version}{commit}")
        if record.mlflow_run:
            parts.append(f"mlflow {record.mlflow_run}")
        if record.stand_ins:
            parts.append(f"stand-ins {', '.join(record.stand_ins)}")
    if node.state != CURRENT:
        parts.append(f"[{node.state}]")
    return "  ".join(parts)


def as_values(graph: Graph) -> dict[str, Any]:
    """Nodes with their records, and edges (`made` was made from `from`)."""
    nodes = []
    for node in graph.nodes.values():
        values: dict[str, Any] = {
            "key": node.key,
            "kind": node.kind,
            "name": node.name,
            "md5": node.md5,
            "state": node.state,
            "clips": node.clips,
            "note": node.note or None,
            "members": [{"name": m.name, "md5": m.md5, "clips": m.clips} for m in node.members],
        }
        if node.record is not None:
            values["record"] = node.record.model_dump(mode="json", exclude={"inputs", "kind", "name", "md5"})
        nodes.append(values)
    edges = [{"from": source, "made": made} for source, made in graph.edges]
    return {"roots": graph.roots, "nodes": nodes, "edges": edges}
