"""A lineage graph as one HTML file that needs nothing else: raw files on the left, what was made of them to the right.

Its size follows from the kinds of outputs, not from the corpus: shards are one card, which unfolds to a list, and clips
are numbers.
"""

from __future__ import annotations

from html import escape

from magictalk_core.lineage.graph import CURRENT, RAW, Graph, Node

__all__ = ["html_page"]

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 230, 96, 70, 18, 20
_LISTED = 2_000
"""Members of a group that a page lists; more are counted."""

_STYLE = """
body{font:14px/1.4 system-ui,sans-serif;margin:24px;color:#1c2733;background:#fff}
h1{font-size:20px;margin:0 0 4px}p{margin:0 0 12px;color:#506070;max-width:75em}
.graph{position:relative;overflow:auto;border:1px solid #d8dee4;border-radius:8px}
svg{position:absolute;left:0;top:0}path{fill:none;stroke:#9fb0c0;stroke-width:1.5}
.node{position:absolute;box-sizing:border-box;border:1px solid #9fb0c0;border-left:6px solid #4a7ebb;border-radius:6px;
background:#fff;padding:6px 9px;overflow:hidden;font-size:12px;text-decoration:none;color:inherit;display:block}
.node b{display:block;font-size:13px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.node span{display:block;white-space:nowrap;overflow:hidden;text-overflow:ellipsis;color:#506070}
.given{border-left-color:#4c9a52}.replaced{border-left-color:#c98a1b}.unknown{border-left-color:#b8403a}
.asked{box-shadow:0 0 0 3px #4a7ebb55}
details{border:1px solid #d8dee4;border-radius:6px;margin:8px 0;padding:6px 10px}summary{cursor:pointer}
table{border-collapse:collapse;font-size:12px}td,th{padding:1px 12px 1px 0;text-align:left;vertical-align:top}
code{font-size:12px}.list{max-height:320px;overflow:auto}
@media(prefers-color-scheme:dark){body,.node{background:#14191f;color:#dde5ec}p,.node span{color:#9fb0c0}}
"""


def html_page(graph: Graph, title: str, how: str) -> str:
    """The page; `how` says what was asked and by what it was known."""
    columns = _columns(graph)
    places = {
        key: (_MARGIN + x * (_WIDTH + _GAP_X), _MARGIN + y * (_HEIGHT + _GAP_Y))
        for x, column in enumerate(columns)
        for y, key in enumerate(column)
    }
    width = 2 * _MARGIN + len(columns) * (_WIDTH + _GAP_X) - _GAP_X
    height = 2 * _MARGIN + max(map(len, columns), default=1) * (_HEIGHT + _GAP_Y) - _GAP_Y
    lines = "".join(_edge(places[source], places[made]) for source, made in graph.edges)
    cards = "".join(_card(graph, graph.nodes[key], places[key]) for column in columns for key in column)
    facts = "".join(_facts(graph.nodes[key]) for column in reversed(columns) for key in column)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Lineage of {escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>Lineage of {escape(title)}</h1><p>Found {escape(how)}. Raw files stand on the "
        "left; every card was made from those that lead to it. Below, everything that is known of each.</p>"
        f'<div class="graph" style="height:{min(height, 900)}px"><div style="position:relative;width:{width}px;'
        f'height:{height}px"><svg width="{width}" height="{height}">{lines}</svg>{cards}</div></div>'
        f"<h2>Records</h2>{facts}</html>\n"
    )


def _columns(graph: Graph) -> list[list[str]]:
    """Nodes by the longest way from what has no input; inside a column near what they are connected with."""
    inputs = graph.links(upstream=True)
    depth: dict[str, int] = {}

    def of(key: str, above: frozenset[str]) -> int:
        if key not in depth:
            below = [of(one, above | {key}) for one in inputs.get(key, []) if one not in above]
            depth[key] = 1 + max(below, default=-1)
        return depth[key]

    for key in graph.nodes:
        of(key, frozenset())
    columns: list[list[str]] = [[] for _ in range(1 + max(depth.values(), default=0))]
    for key in graph.nodes:
        columns[depth[key]].append(key)
    row: dict[str, float] = {}
    for column in columns:
        column.sort(key=lambda key: _mean([row[one] for one in inputs.get(key, []) if one in row]))
        row |= {key: float(place) for place, key in enumerate(column)}
    return columns


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _edge(source: tuple[int, int], made: tuple[int, int]) -> str:
    x0, y0, x1, y1 = source[0] + _WIDTH, source[1] + _HEIGHT // 2, made[0], made[1] + _HEIGHT // 2
    bend = max(30, (x1 - x0) // 2)
    return f'<path d="M{x0},{y0} C{x0 + bend},{y0} {x1 - bend},{y1} {x1},{y1}"/>'


def _look(graph: Graph, node: Node) -> str:
    state = {CURRENT: "", RAW: " given"}.get(node.state, " replaced" if node.record is not None else " unknown")
    return f"node{state}{' asked' if node.key in graph.roots else ''}"


def _card(graph: Graph, node: Node, place: tuple[int, int]) -> str:
    x, y = place
    said = [f"{node.clips:,} clips"] if node.clips is not None else []
    if node.members:
        said.append(f"{len(node.members):,} files")
    if node.record is not None:
        said.append(f"{node.record.made:%Y-%m-%d %H:%M}")
    if node.state not in (CURRENT, RAW):
        said.append(node.state)
    return (
        f'<a class="{_look(graph, node)}" href="#{escape(_anchor(node))}" title="{escape(node.name)}" '
        f'style="left:{x}px;top:{y}px;width:{_WIDTH}px;height:{_HEIGHT}px"><b>{escape(node.kind)}</b>'
        f"<span>{escape(_short(node.name))}</span><span><code>{escape(node.md5[:16])}</code></span>"
        f"<span>{escape(' · '.join(said))}</span></a>"
    )


def _short(name: str) -> str:
    return name if len(name) < 34 else f"…{name[-32:]}"


def _anchor(node: Node) -> str:
    return f"n-{node.key}"


def _facts(node: Node) -> str:
    rows = [("name", node.name), ("md5", node.md5), ("state", node.state), ("note", node.note)]
    record = node.record
    if record is not None:
        rows += [
            ("made", f"{record.made.isoformat()} in {record.seconds} s"),
            ("code", f"{record.code.version} {record.code.commit or ''}{' with changes' if record.code.dirty else ''}"),
            ("settings", ", ".join(f"{key}: {value}" for key, value in record.settings.items())),
            ("preset", "" if record.preset is None else f"{record.preset.name} {record.preset.digest}"),
            ("weights", ", ".join(f"{one.name} sha256:{one.sha256}" for one in record.weights)),
            ("stand-ins", ", ".join(record.stand_ins)),
            ("MLflow run", record.mlflow_run or ""),
            ("Dagster run", record.dagster_run or ""),
            ("files", ", ".join(f"{name} {md5}" for name, md5 in list(record.files.items())[:20])),
        ]
    table = "".join(f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in rows if value)
    return (
        f'<details id="{escape(_anchor(node))}"><summary><b>{escape(node.kind)}</b> {escape(node.name)}</summary>'
        f"<table>{table}</table>{_list(node)}</details>"
    )


def _list(node: Node) -> str:
    if not node.members:
        return ""
    rows = "".join(
        f"<tr><td>{escape(member.name)}</td><td><code>{member.md5}</code></td>"
        f"<td>{'' if member.clips is None else f'{member.clips:,} clips'}</td></tr>"
        for member in node.members[:_LISTED]
    )
    more = len(node.members) - _LISTED
    left = f"<p>and {more:,} more: magictalk lineage --json names them all</p>" if more > 0 else ""
    return (
        f'<details><summary>{len(node.members):,} files</summary><div class="list"><table>{rows}</table></div>'
        f"{left}</details>"
    )
