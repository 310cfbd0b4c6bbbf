"""The head behind the built-in rig's face: skull with short hair, ears, neck."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from magictalk_core.rig.mesh_part import MeshPart, Points, grid, smooth
from magictalk_core.rig.part_colours import SKIN_COLOUR, SKIN_GLOSS

__all__ = ["HAIR_COLOUR", "ear", "neck", "skull"]

HAIR_COLOUR = (0.20, 0.145, 0.115)

_CENTRE = np.array([0.0, 1.6, -5.6])
_RINGS = 13
_WIDE, _ABOVE, _BELOW, _BACK = 7.1, 9.6, 6.2, 8.3
"""Half axes of the skull around its centre, cm."""
_ROUNDNESS = 2.35
"""2 would be an ellipsoid, which is too pointed at the crown."""
_HAIR_LIFT = 0.35


def skull(rim: Points, rim_moves: Mapping[str, Points]) -> MeshPart:
    """Rings from the face's rim (n, 3) over the back of the head to its pole; the first ones move with the rim."""
    offset = rim - _CENTRE
    around = np.arctan2(offset[:, 1], offset[:, 0])
    start = np.arctan2(offset[:, 2], np.hypot(offset[:, 0], offset[:, 1]))
    # Crowded at the rim, where the skull takes over the face's own bend.
    steps = np.linspace(0.0, 1.0, _RINGS) ** 1.35
    rings = []
    for step in steps:
        latitude = start + (-np.pi / 2 - start) * step
        ray = np.stack([np.cos(latitude) * np.cos(around), np.cos(latitude) * np.sin(around), np.sin(latitude)], axis=1)
        half = np.where(ray[:, 1] > 0, _ABOVE, _BELOW)
        deep = np.where(ray[:, 2] > 0, 7.0, _BACK)
        scaled = np.abs(ray / np.stack([np.full(len(rim), _WIDE), half, deep], axis=1))
        reach = (scaled**_ROUNDNESS).sum(axis=1) ** (-1 / _ROUNDNESS)
        own = smooth(np.full(len(rim), step), 0.0, 0.3)
        rings.append(_CENTRE + ray * ((1 - own) * np.linalg.norm(offset, axis=1) + own * reach)[:, None])
    vertices = np.concatenate(rings)
    vertices[: len(rim)] = rim
    part = np.repeat(steps, len(rim))
    hair = _hair(vertices, part)
    vertices += (
        (vertices - _CENTRE)
        / np.linalg.norm(vertices - _CENTRE, axis=1, keepdims=True)
        * (_HAIR_LIFT * hair * smooth(part, 0.02, 0.1))[:, None]
    )
    follow = (1 - smooth(part, 0.0, 0.45))[:, None]
    moves = {name: np.tile(move, (_RINGS, 1)) * follow for name, move in rim_moves.items()}
    colours = np.array(SKIN_COLOUR) * (1 - hair[:, None]) + np.array(HAIR_COLOUR) * hair[:, None]
    return MeshPart(vertices, grid(_RINGS, len(rim), closed=True), colours, SKIN_GLOSS * 0.6, moves)


def _hair(vertices: Points, part: Points) -> Points:
    """(v,) 1 where hair grows: over the brow, above the ears, down to the nape."""
    y, z = vertices[:, 1], vertices[:, 2]
    # The line falls from the forehead to the temples, passes over the ears and reaches the nape behind them.
    line = np.where(z > -6.0, 5.2 + 0.55 * (z + 1.0), 2.4 - 1.9 * np.clip(-z - 6.0, 0, 3.4))
    return smooth(y - line, -0.5, 0.5) * smooth(part, 0.0, 0.05)


def ear(side: float) -> MeshPart:
    """A shell with a rolled rim; `side` +1 for the subject's left."""
    radii, angles = np.linspace(0.0, 1.0, 9), np.linspace(0, 2 * np.pi, 28, endpoint=False)
    r, a = np.meshgrid(radii, angles, indexing="ij")
    # Wide above, narrow at the lobe.
    wide = 1.55 * (1 - 0.28 * np.clip(-np.sin(a), 0, 1))
    back, up = -np.cos(a) * r * wide, np.sin(a) * r * 2.95
    # Concave in the middle, highest at the helix, rolled over at its edge.
    rise = 0.18 + 0.75 * smooth(r, 0.35, 0.8) - 0.42 * smooth(r, 0.86, 1.0)
    # The front of the shell lies on the head, its back stands off.
    out = rise * (0.45 + 0.55 * smooth(back, -1.5, 0.9)) + 0.42 * (back + 0.6)
    vertices = np.stack([side * (6.75 + out), 0.35 + up, -7.1 - back + 0.12 * up], axis=-1).reshape(-1, 3)
    dip = smooth(r, 0.25, 0.75).reshape(-1, 1)
    colours = np.array(SKIN_COLOUR) * (0.72 + 0.28 * dip) * np.array([1.0, 0.96, 0.95])
    triangles = grid(len(radii), len(angles), closed=True)
    return MeshPart(vertices, triangles if side > 0 else triangles[:, ::-1], colours, SKIN_GLOSS, {})


def neck() -> MeshPart:
    """From inside the head to below the picture."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    heights = np.array([-1.5, -4.6, -7.0, -9.5, -11.5, -13.5, -16.0, -19.0])
    wide = np.array([4.0, 4.6, 4.9, 5.05, 5.4, 6.2, 8.6, 11.5])
    deep = np.array([2.4, 3.4, 4.4, 4.6, 4.7, 5.0, 5.6, 6.2])
    middle = np.array([-9.2, -8.3, -7.4, -7.5, -7.8, -8.0, -8.2, -8.4])
    vertices = np.concatenate(
        [
            np.stack([w * np.cos(angles), np.full(len(angles), y), m + d * np.sin(angles)], axis=1)
            for y, w, d, m in zip(heights, wide, deep, middle, strict=True)
        ]
    )
    # In the shadow of the chin.
    shade = 0.72 + 0.2 * smooth(-vertices[:, 1], 8.0, 14.0)
    colours = np.array(SKIN_COLOUR) * shade[:, None]
    return MeshPart(vertices, grid(len(heights), len(angles), closed=True)[:, ::-1], colours, 0.08, {})
