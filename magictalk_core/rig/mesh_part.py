"""A piece of the built-in head: its own vertices and triangles, colours, and how each shape moves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.head_pose import rotation_of
from magictalk_core.rig.shapes import JAW_DEGREES, JAW_HINGE

__all__ = ["MeshPart", "Points", "grid", "jaw_moves", "smooth", "turned_by"]

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MeshPart:
    """`vertices` (v, 3) cm; `triangles` (t, 3); `colours` (v, 3) 0..1; `gloss` 0..1; `moves` (v, 3) cm by shape."""

    vertices: Points
    triangles: NDArray[np.int32]
    colours: Points
    gloss: float
    moves: Mapping[str, Points]


def grid(rows: int, columns: int, closed: bool) -> NDArray[np.int32]:
    """Triangles of a rows x columns grid of vertices; `closed` joins the last column to the first."""
    triangles = []
    for r in range(rows - 1):
        for c in range(columns if closed else columns - 1):
            a, b = r * columns + c, r * columns + (c + 1) % columns
            triangles += [(a, a + columns, b), (b, a + columns, b + columns)]
    return np.array(triangles, np.int32)


def turned_by(vertices: Points, centre: Points, pitch: float, yaw: float) -> Points:
    """How far `vertices` go when they turn about `centre`; degrees."""
    return np.asarray((vertices - centre) @ rotation_of(pitch, yaw, 0.0).T + centre - vertices)


def jaw_moves(vertices: Points) -> dict[str, Points]:
    """What is fixed to the lower jaw."""
    return {
        "jawOpen": turned_by(vertices, JAW_HINGE, JAW_DEGREES, 0),
        "jawForward": np.broadcast_to([0, -0.05, 0.7], vertices.shape).copy(),
        "jawLeft": np.broadcast_to([0.75, 0, 0], vertices.shape).copy(),
        "jawRight": np.broadcast_to([-0.75, 0, 0], vertices.shape).copy(),
    }


def smooth(values: Points, low: float, high: float) -> Points:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))
