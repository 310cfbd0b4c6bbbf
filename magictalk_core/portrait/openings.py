"""Round edges for the openings of the face mesh: its loops around lips and eyes have corners that a picture shows.

Between two landmarks of a loop points are put on a smooth curve through the loop (Catmull and Rom 1974), and the skin's
triangles there are divided. The curve is a fixed mean of landmarks, so points and texture move alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.mesh import LEFT_EYE, LIPS_INNER, RIGHT_EYE

__all__ = ["RoundOpenings"]

_BETWEEN = (0.25, 0.5, 0.75)
_CORNERS = {LIPS_INNER: (78, 308), LEFT_EYE: (263, 362), RIGHT_EYE: (33, 133)}
"""Where both edges of an opening meet: the curve does not run through."""


class RoundOpenings:
    """Divides `triangles` (t, 3) at the openings; new vertices are numbered from `first`."""

    def __init__(self, triangles: NDArray[np.int32], first: int) -> None:
        edges: dict[tuple[int, int], list[int]] = {}
        rows: list[dict[int, float]] = []
        for arc in _arcs():
            for k in range(len(arc) - 1):
                inner = [first + len(rows) + i for i in range(len(_BETWEEN))]
                rows += [_on_the_curve(arc, k, u) for u in _BETWEEN]
                edges[arc[k], arc[k + 1]], edges[arc[k + 1], arc[k]] = inner, inner[::-1]
        self._used = sorted({index for row in rows for index in row})
        self._mix = np.array([[row.get(index, 0.0) for index in self._used] for row in rows])
        self.triangles = _divided(triangles, edges)

    def points(self, face: NDArray[np.floating]) -> NDArray[np.float64]:
        """The new vertices (m, k) of landmarks (n, k)."""
        return np.asarray(self._mix @ face[self._used])


def _arcs() -> list[list[int]]:
    """The loops, cut at their corners: both arcs of each from one corner to the other."""
    found = []
    for loop, (one, other) in _CORNERS.items():
        start = loop.index(one)
        turned = [*loop[start:], *loop[:start]]
        end = turned.index(other)
        found += [turned[: end + 1], [*turned[end:], one]]
    return found


def _on_the_curve(arc: Sequence[int], k: int, u: float) -> dict[int, float]:
    """Weights of landmarks for the point at share `u` between the arc's points k and k + 1."""
    before, after = -0.5 * u + u**2 - 0.5 * u**3, -0.5 * u**2 + 0.5 * u**3
    near, far = 1 - 2.5 * u**2 + 1.5 * u**3, 0.5 * u + 2 * u**2 - 1.5 * u**3
    row = {arc[k]: near, arc[k + 1]: far}
    # Beyond an end the arc goes straight on.
    for index, weight, here, there in ((k - 1, before, k, k + 1), (k + 2, after, k + 1, k)):
        if 0 <= index < len(arc):
            row[arc[index]] = row.get(arc[index], 0.0) + weight
        else:
            row[arc[here]] += 2 * weight
            row[arc[there]] -= weight
    return row


def _divided(triangles: NDArray[np.int32], edges: dict[tuple[int, int], list[int]]) -> NDArray[np.int32]:
    found: list[tuple[int, int, int]] = []
    for a, b, c in triangles.tolist():
        for i, j, apex in ((a, b, c), (b, c, a), (c, a, b)):
            if (i, j) in edges:
                line = [i, *edges[i, j], j]
                found += [(line[n], line[n + 1], apex) for n in range(len(line) - 1)]
                break
        else:
            found.append((a, b, c))
    return np.array(found, np.int32)
