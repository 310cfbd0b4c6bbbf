"""Loop subdivision of a triangle mesh as one matrix: a fine vertex is a fixed mixture of coarse ones.

So a finer skin moves with the same shapes, by the same matrix. Edges of the mesh (eyes, lips, oval) follow the cubic
spline of their own vertices alone. Source: C. Loop, Smooth Subdivision Surfaces Based on Triangles, 1987; weights of
inner vertices after Warren (3/8n, 3/16 where three meet).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["FineMesh", "subdivided"]

_THREE = 3


@dataclass(frozen=True, eq=False)
class FineMesh:
    """`matrix` (fine, coarse): fine vertices of coarse ones; `triangles` (t, 3) of the fine mesh; `loops`: closed rows
    of edge vertices that were asked for, finer by the same steps."""

    matrix: sparse.csr_matrix
    triangles: NDArray[np.int32]
    loops: tuple[tuple[int, ...], ...]


def subdivided(
    triangles: NDArray[np.integer], vertices: int, loops: Sequence[Sequence[int]], levels: int = 1
) -> FineMesh:
    """`levels` steps, each of which makes four triangles of one."""
    matrix = sparse.identity(vertices, format="csr")
    rows = tuple(tuple(loop) for loop in loops)
    for _ in range(levels):
        step, triangles, rows = _once(np.asarray(triangles, np.int32), matrix.shape[0], rows)
        matrix = step @ matrix
    return FineMesh(matrix, np.asarray(triangles, np.int32), rows)


def _once(
    triangles: NDArray[np.int32], vertices: int, loops: tuple[tuple[int, ...], ...]
) -> tuple[sparse.csr_matrix, NDArray[np.int32], tuple[tuple[int, ...], ...]]:
    across: dict[tuple[int, int], list[int]] = {}
    for a, b, c in triangles.tolist():
        for edge, opposite in (((a, b), c), ((b, c), a), ((c, a), b)):
            across.setdefault((min(edge), max(edge)), []).append(opposite)
    number = {edge: vertices + i for i, edge in enumerate(across)}
    entries: list[tuple[int, int, float]] = []
    inner: list[set[int]] = [set() for _ in range(vertices)]
    outer: list[set[int]] = [set() for _ in range(vertices)]
    for (a, b), opposites in across.items():
        at = number[a, b]
        if len(opposites) == 1:
            entries += [(at, a, 0.5), (at, b, 0.5)]
            outer[a].add(b)
            outer[b].add(a)
        else:
            entries += [(at, a, 3 / 8), (at, b, 3 / 8)] + [(at, o, 1 / 8) for o in opposites[:2]]
        inner[a].add(b)
        inner[b].add(a)
    for v in range(vertices):
        around, share = (outer[v], 1 / 8) if outer[v] else (inner[v], 0.0)
        if around and not outer[v]:
            n = len(around)
            share = 3 / 16 if n == _THREE else 3 / (8 * n)
        entries.append((v, v, 1 - share * len(around)))
        entries += [(v, other, share) for other in around]
    rows_of, columns_of, weights = zip(*entries, strict=True)
    step = sparse.csr_matrix((weights, (rows_of, columns_of)), (vertices + len(across), vertices))

    def middle(a: int, b: int) -> int:
        return number[min(a, b), max(a, b)]

    fine = []
    for a, b, c in triangles.tolist():
        ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
        fine += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    rows = tuple(
        tuple(v for a, b in zip(loop, (*loop[1:], loop[0]), strict=True) for v in (a, middle(a, b))) for loop in loops
    )
    return step, np.array(fine, np.int32), rows
