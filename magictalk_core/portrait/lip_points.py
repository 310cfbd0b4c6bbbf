"""Which landmarks of the face mesh are lips, and which of them meet when the mouth closes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.mesh import LIPS_INNER

__all__ = ["INNER_LOWER", "INNER_UPPER", "LIP_RINGS", "LOWER_LIP_ROWS", "MOUTH_LOOP", "UPPER_LIP_ROWS", "meet"]

MOUTH_LOOP = LIPS_INNER
"""Around the opening of the mouth."""

INNER_UPPER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
INNER_LOWER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
"""The edges of both lips between the corners, in pairs, from the subject's right to the left."""

UPPER_LIP_ROWS = (
    (185, 40, 39, 37, 0, 267, 269, 270, 409),
    (184, 74, 73, 72, 11, 302, 303, 304, 408),
    (183, 42, 41, 38, 12, 268, 271, 272, 407),
    INNER_UPPER,
)
LOWER_LIP_ROWS = (
    (146, 91, 181, 84, 17, 314, 405, 321, 375),
    (77, 90, 180, 85, 16, 315, 404, 320, 307),
    (96, 89, 179, 86, 15, 316, 403, 319, 325),
    INNER_LOWER,
)
"""From the outer edge to the inner one, each from right to left."""
_CORNERS = (61, 76, 62, 78, 291, 306, 292, 308)
LIP_RINGS = tuple(sorted({i for rows in (UPPER_LIP_ROWS, LOWER_LIP_ROWS) for row in rows for i in row} | {*_CORNERS}))
"""All landmarks of the lips."""


def meet(points: NDArray[np.floating], upper_share: float = 0.5) -> NDArray[np.floating]:
    """A copy of points (468, 2 or 3) in which the edges of the lips lie on each other: on the upper one at share 0."""
    closed = points.copy()
    up, low = list(INNER_UPPER), list(INNER_LOWER)
    line = points[up] + (points[low] - points[up]) * upper_share
    closed[up] = closed[low] = line
    return closed
