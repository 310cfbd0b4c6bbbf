"""The built-in rig around the face mesh: skull, eyeballs, teeth, mouth cavity, tongue, and what moves them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.head_pose import rotation_of
from magictalk_core.faces.mesh import (
    FACE_OVAL,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    RIGHT_BROW,
    RIGHT_EYE,
    TRIANGLES,
)
from magictalk_core.faces.solver import neutral_face
from magictalk_core.rig.rig import Rig
from magictalk_core.rig.shapes import EYE_RADIUS, JAW_DEGREES, JAW_HINGE, face_deltas
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["LOOK_DEGREES", "build_rig", "inner_mouth"]

SKIN, LIP, BROW = (0.80, 0.66, 0.58), (0.72, 0.44, 0.42), (0.58, 0.46, 0.39)
SKULL, SCLERA, IRIS, PUPIL = (0.62, 0.55, 0.52), (0.93, 0.93, 0.92), (0.30, 0.45, 0.55), (0.03, 0.03, 0.04)
TEETH, CAVITY, TONGUE = (0.92, 0.90, 0.85), (0.16, 0.05, 0.05), (0.72, 0.36, 0.36)

LOOK_DEGREES = 24.0
"""How far an eye turns at weight 1 of an eyeLook shape."""

Points = NDArray[np.float64]


@dataclass
class _Part:
    """A piece of mesh with its own triangles, and its displacement per shape name."""

    vertices: Points
    triangles: NDArray[np.int32]
    colours: Points
    gloss: float
    moves: dict[str, Points]


def _grid(rows: int, columns: int, closed: bool) -> NDArray[np.int32]:
    """Triangles of a rows x columns grid of vertices; `closed` joins the last column to the first."""
    triangles = []
    for r in range(rows - 1):
        for c in range(columns if closed else columns - 1):
            a, b = r * columns + c, r * columns + (c + 1) % columns
            triangles += [(a, a + columns, b), (b, a + columns, b + columns)]
    return np.array(triangles, np.int32)


def _turn(vertices: Points, centre: Points, pitch: float, yaw: float) -> Points:
    return np.asarray((vertices - centre) @ rotation_of(pitch, yaw, 0.0).T + centre - vertices)


def _skull(face: Points, deltas: Points) -> _Part:
    """Rings from the face oval over the back of the head; the rim follows the face."""
    oval = list(FACE_OVAL)
    rim, rings = face[oval], 9
    centre, back = np.array([0.0, 1.2, -4.0]), np.array([0.0, 1.0, -7.2])
    t = np.linspace(0, np.pi / 2, rings)
    vertices = np.concatenate(
        [centre + (rim - centre) * (np.cos(a) * (1 + 0.12 * np.sin(2 * a))) + back * np.sin(a) for a in t]
    )
    follow = np.repeat(np.cos(t) ** 4, len(oval))[:, None]
    moves = {
        n: np.tile(deltas[i][oval], (rings, 1)) * follow for i, n in enumerate(ARKIT_NAMES) if deltas[i][oval].any()
    }
    triangles = _grid(rings, len(oval), closed=True)
    shade = np.repeat(np.linspace(0, 1, rings) ** 0.5, len(oval))[:, None]
    colours = np.array(SKIN) * (1 - shade) + np.array(SKULL) * shade
    return _Part(vertices, triangles, colours, 0.15, moves)


def _eye(loop: tuple[int, ...], face: Points, side: str) -> _Part:
    """A sphere behind the lids, rings around the viewing direction: pupil, iris, white."""
    middle = face[list(loop)].mean(axis=0)
    centre = np.array([middle[0], middle[1], face[list(loop), 2].max() - EYE_RADIUS - 0.12])
    angles = np.radians([0, 8, 9, 24, 26, 40, 55, 70, 90])
    colours = [PUPIL, PUPIL, IRIS, IRIS, SCLERA, SCLERA, SCLERA, SCLERA, SCLERA]
    around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    rings = [
        centre
        + EYE_RADIUS * np.stack([np.sin(a) * np.cos(around), np.sin(a) * np.sin(around), np.full(24, np.cos(a))], 1)
        for a in angles
    ]
    vertices = np.concatenate(rings)
    # `In` is towards the nose: the subject's left eye turns to the right, and the other way round.
    inward = -LOOK_DEGREES if side == "Left" else LOOK_DEGREES
    moves = {
        f"eyeLookDown{side}": _turn(vertices, centre, LOOK_DEGREES * 0.8, 0),
        f"eyeLookUp{side}": _turn(vertices, centre, -LOOK_DEGREES * 0.8, 0),
        f"eyeLookIn{side}": _turn(vertices, centre, 0, inward),
        f"eyeLookOut{side}": _turn(vertices, centre, 0, -inward),
    }
    shades = np.repeat(np.array(colours), 24, axis=0)
    return _Part(vertices, _grid(len(angles), 24, closed=True), shades, 0.8, moves)


def _jaw_moves(vertices: Points) -> dict[str, Points]:
    """What is fixed to the lower jaw."""
    return {
        "jawOpen": _turn(vertices, JAW_HINGE, JAW_DEGREES, 0),
        "jawForward": np.broadcast_to([0, -0.05, 0.7], vertices.shape).copy(),
        "jawLeft": np.broadcast_to([0.75, 0, 0], vertices.shape).copy(),
        "jawRight": np.broadcast_to([-0.75, 0, 0], vertices.shape).copy(),
    }


def _arch(width: float, depth: float, front: float, y: float, height: float, rows: int = 4) -> Points:
    """A band along a dental arch, top row first: x = width sin a, z = front - depth (1 - cos a)."""
    a = np.linspace(-1.25, 1.25, 33)
    levels = np.linspace(y, y - height, rows)
    return np.concatenate(
        [np.stack([width * np.sin(a), np.full(33, level), front - depth * (1 - np.cos(a))], axis=1) for level in levels]
    )


def _teeth(face: Points, lower: bool) -> _Part:
    y = float(face[14 if lower else 13, 1])
    front = float(face[13, 2]) - 0.75
    top = y + (-0.12 if lower else 0.44)
    vertices = _arch(1.95, 2.6, front - (0.12 if lower else 0.0), top, 0.64)
    # Dark gaps between the teeth, one every three columns.
    shade = np.where(np.arange(33) % 4 == 0, 0.72, 1.0)
    colours = np.array(TEETH) * np.tile(shade, 4)[:, None]
    return _Part(vertices, _grid(4, 33, closed=False), colours, 0.6, _jaw_moves(vertices) if lower else {})


def inner_mouth(face: Points, deltas: Points, rings: int = 5) -> _Part:
    """A bag from the inner lips into the head, dark inside. Its rim is the lips, so no gap can open."""
    loop = list(LIPS_INNER)
    rim = face[loop]
    back = rim.mean(axis=0) + np.array([0, -0.3, -3.2])
    t = np.linspace(0, 1, rings)
    swell = np.array([1.0, 1.15, 1.1, 0.8, 0.2])[:, None, None]
    depth = np.array([0.0, 0.25, 0.6, 0.9, 1.0])[:, None, None]
    centre = rim.mean(axis=0)
    vertices = (centre + (rim - centre)[None] * swell * [1, 1, 0.4] + (back - centre) * depth).reshape(-1, 3)
    vertices[: len(loop)] = rim
    # Behind the lips the bag is as high as the mouth, whatever the lips do.
    vertices[len(loop) :, 1] += np.sign(np.tile(rim[:, 1] - centre[1], rings - 1)) * np.repeat(
        [0.25, 0.5, 0.4, 0.1], len(loop)
    )
    follow = np.repeat(np.array([1.0, 0.9, 0.7, 0.4, 0.2]), len(loop))[:, None]
    moves = {
        n: np.tile(deltas[i][loop], (rings, 1)) * follow for i, n in enumerate(ARKIT_NAMES) if deltas[i][loop].any()
    }
    colours = np.array(CAVITY) * np.repeat(1 - 0.6 * t, len(loop))[:, None]
    return _Part(vertices, _grid(rings, len(loop), closed=True)[:, ::-1], colours, 0.0, moves)


def _tongue(face: Points) -> _Part:
    y, front = float(face[14, 1]) - 0.35, float(face[14, 2]) - 1.1
    s, a = np.meshgrid(np.linspace(0, 1, 9), np.linspace(-1, 1, 9), indexing="ij")
    width = 1.25 * np.sqrt(np.clip(1 - (1 - s) ** 3, 0.02, 1))
    vertices = np.stack([a * width, y + 0.28 * (1 - a**2) - 0.25 * (1 - s), front - 3.0 * s], axis=-1).reshape(-1, 3)
    out = np.stack([np.zeros_like(s), -0.5 * (1 - s) ** 2, 2.4 * (1 - s)], axis=-1).reshape(-1, 3)
    colours = np.broadcast_to(np.array(TONGUE), vertices.shape).copy()
    return _Part(vertices, _grid(9, 9, closed=False), colours, 0.5, _jaw_moves(vertices) | {"tongueOut": out})


def _face(face: Points, deltas: Points) -> _Part:
    colours = np.broadcast_to(np.array(SKIN), face.shape).copy()
    lips = {*LIPS_OUTER, *LIPS_INNER, *(int(i) for i in _between_lips())}
    colours[sorted(lips)] = LIP
    colours[[*LEFT_BROW, *RIGHT_BROW]] = BROW
    return _Part(face, TRIANGLES.astype(np.int32), colours, 0.18, {n: deltas[i] for i, n in enumerate(ARKIT_NAMES)})


def _between_lips() -> NDArray[np.int64]:
    """Landmarks of the rings between the outer and the inner rim of the lips."""
    return np.array(
        [
            11, 12, 15, 16, 38, 41, 42, 62, 72, 73, 74, 76, 77, 85, 86, 89, 90, 96, 179, 180, 183, 184,
            268, 271, 272, 292, 302, 303, 304, 306, 307, 315, 316, 319, 320, 325, 403, 404, 407, 408,
        ]
    )  # fmt: skip


def build_rig() -> Rig:
    """Put the parts together: one vertex array, the face first."""
    face = neutral_face().astype(np.float64)
    deltas = face_deltas()
    parts = [
        _face(face, deltas),
        _skull(face, deltas),
        _eye(LEFT_EYE, face, "Left"),
        _eye(RIGHT_EYE, face, "Right"),
        inner_mouth(face, deltas),
        _teeth(face, lower=False),
        _teeth(face, lower=True),
        _tongue(face),
    ]
    starts = np.cumsum([0, *(len(p.vertices) for p in parts)])
    all_deltas = np.zeros((len(ARKIT_NAMES), starts[-1], 3))
    for part, start in zip(parts, starts[:-1], strict=True):
        for name, move in part.moves.items():
            all_deltas[ARKIT_NAMES.index(name), start : start + len(move)] = move
    return Rig(
        "magictalk-builtin-1",
        np.concatenate([p.vertices for p in parts]).astype(np.float32),
        np.concatenate([p.triangles + s for p, s in zip(parts, starts[:-1], strict=True)]).astype(np.int32),
        all_deltas.astype(np.float32),
        np.concatenate([p.colours for p in parts]).astype(np.float32),
        np.concatenate([np.full(len(p.vertices), p.gloss) for p in parts]).astype(np.float32),
    )
