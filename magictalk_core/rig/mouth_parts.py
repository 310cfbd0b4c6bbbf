"""What lies behind the built-in rig's lips: inner lips and mouth cavity, two rows of teeth on gums, the tongue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from magictalk_core.rig.mesh_part import MeshPart, Points, grid, jaw_moves, smooth

__all__ = ["inner_mouth", "teeth", "tongue"]

_TEETH, _GUM, _CAVITY, _MUCOSA, _TONGUE = (
    (0.88, 0.85, 0.78), (0.62, 0.32, 0.32), (0.14, 0.045, 0.045), (0.50, 0.22, 0.22), (0.66, 0.32, 0.32),
)  # fmt: skip
_SETBACK = 1.05
"""How far behind the lips the front teeth stand, cm: lips that are a hair apart show dark and not white."""
_ARCH = 2.3
"""Half the width of a row of teeth, cm."""

_DEPTH = (0.0, 0.14, 0.36, 0.9, 1.8, 2.8, 3.2)
_OUTWARD = (0.0, -0.075, 0.1, 0.45, 0.75, 0.55, 0.1)
"""Per ring of the cavity: cm behind the lips, and cm that it lies above (below) the rim; the second ring is the inside
of the lips, which touch there."""
_FOLLOW = (1.0, 1.0, 0.92, 0.75, 0.5, 0.3, 0.15)


def inner_mouth(rim: Points, rim_moves: Mapping[str, Points]) -> MeshPart:
    """A bag from the inner lips (n, 3) into the head, dark inside. Its rim is the lips, so no gap can open."""
    n, rings = len(rim), len(_DEPTH)
    centre = rim.mean(axis=0)
    vertices = np.tile(rim, (rings, 1))
    ring = np.repeat(np.arange(rings), n)
    narrow = 1 - 0.35 * smooth(ring.astype(float), 3.0, 6.0)
    vertices[:, 0] = centre[0] + (vertices[:, 0] - centre[0]) * narrow
    # The upper lip is the half of the loop above the line between its corners.
    corners = rim[[int(rim[:, 0].argmin()), int(rim[:, 0].argmax())]]
    line = np.interp(rim[:, 0], corners[:, 0], corners[:, 1])
    across = 1 - np.clip(np.abs(rim[:, 0] - centre[0]) / np.abs(corners[:, 0] - centre[0]).max(), 0, 1) ** 4
    above = np.sign(rim[:, 1] - line) * across
    vertices[:, 1] += np.tile(above, rings) * np.array(_OUTWARD)[ring]
    vertices[:, 2] -= np.array(_DEPTH)[ring]
    follow = np.array(_FOLLOW)[ring][:, None]
    moves = {name: np.tile(move, (rings, 1)) * follow for name, move in rim_moves.items()}
    dark = smooth(ring.astype(float), 1.0, 3.0)[:, None]
    colours = np.array(_MUCOSA) * (1 - dark) + np.array(_CAVITY) * dark * (1 - 0.5 * ring[:, None] / rings)
    return MeshPart(vertices, grid(rings, n, closed=True)[:, ::-1], colours, 0.25, moves)


def teeth(upper_lip: Points, lower_lip: Points, lower: bool) -> MeshPart:
    """A row of teeth with its gum along a dental arch; `upper_lip`, `lower_lip` (3,) the middles of the inner lips."""
    front = float(upper_lip[2]) - _SETBACK - (0.1 if lower else 0.0)
    edge = float(lower_lip[1]) - 0.1 if lower else float(upper_lip[1]) - 0.36
    columns, away = 81, -1.0 if lower else 1.0
    a = np.linspace(-1.45, 1.45, columns)
    heights = np.array([0.0, 0.12, 0.42, 0.68, 0.8, 1.5])
    bulge = np.array([-0.1, 0.0, 0.05, 0.0, 0.02, 0.06])
    tooth = np.abs(np.sin(np.linspace(-1.45, 1.45, columns) * 7.5 * (1.15 if lower else 1.0)))
    rows = []
    for height, out in zip(heights, bulge, strict=True):
        scale = 1.0 + out * 0.3
        ragged = 0.05 * (1 - tooth) ** 3 if height == 0 else 0.0
        y = edge + away * (height + ragged)
        rows.append(
            np.stack([_ARCH * scale * np.sin(a), np.zeros(columns) + y, front + out - 2.6 * (1 - np.cos(a))], axis=1)
        )
    vertices = np.concatenate(rows)
    shade = (0.78 + 0.22 * smooth(tooth, 0.0, 0.3)) * (1 - 0.45 * smooth(np.abs(a), 0.6, 1.4))
    colours = np.concatenate([(np.array(_TEETH) if h < 0.75 else np.array(_GUM)) * shade[:, None] for h in heights])
    return MeshPart(
        vertices, grid(len(heights), columns, closed=False), colours, 0.45, jaw_moves(vertices) if lower else {}
    )


def tongue(lower_lip: Points) -> MeshPart:
    """On the floor of the mouth; it goes out with `tongueOut`."""
    y, front = float(lower_lip[1]) - 0.34, float(lower_lip[2]) - 1.35
    s, a = np.meshgrid(np.linspace(0, 1, 13), np.linspace(-1, 1, 13), indexing="ij")
    width = 1.3 * np.sqrt(np.clip(1 - (1 - s) ** 3, 0.02, 1))
    vertices = np.stack([a * width, y + 0.32 * (1 - a**2) - 0.25 * (1 - s), front - 3.0 * s], axis=-1).reshape(-1, 3)
    out = np.stack([np.zeros_like(s), 0.15 - 0.75 * (1 - s) ** 2, 2.75 * (1 - s)], axis=-1).reshape(-1, 3)
    groove = (0.82 + 0.18 * smooth(np.abs(a), 0.0, 0.25)).reshape(-1, 1)
    colours = np.array(_TONGUE) * groove
    return MeshPart(vertices, grid(13, 13, closed=False), colours, 0.5, jaw_moves(vertices) | {"tongueOut": out})
