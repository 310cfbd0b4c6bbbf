"""A head that somebody else made, as it lies in its file, and how it becomes a rig of this project.

Unit, place and axes of such a file are whatever its tool likes. They are told by what moves: the middle of what a
blink, a smile or a raised brow moves lies at the same place of every face, so the turn (by quarters), the size and the
place that bring these middles to those of the built-in rig bring the head before the camera.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.mesh import LANDMARKS
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.part_colours import (
    IRIS_COLOUR,
    IRIS_DEGREES,
    PUPIL_COLOUR,
    PUPIL_DEGREES,
    SKIN_COLOUR,
    SKIN_GLOSS,
    part_look,
)
from magictalk_core.rig.rig import Rig
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, mirror_name

__all__ = ["MAX_TRIANGLES", "MAX_VERTICES", "ForeignMesh", "rig_of"]

MAX_VERTICES, MAX_TRIANGLES = 200_000, 400_000
"""Of a head: its 52 shapes then take 125 MB."""

_LOCAL = (
    "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "browDownLeft",
    "browDownRight", "noseSneerLeft", "noseSneerRight", "cheekSquintLeft", "cheekSquintRight", "mouthSmileLeft",
    "mouthSmileRight", "mouthPucker", "mouthFunnel", "mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft",
    "mouthLowerDownRight",
)  # fmt: skip
"""Shapes that move one place of the face, the same on every rig."""
_ENOUGH = 4
_SWAPPED, _AS_IT_STANDS = 0.6, 1.25
"""How much better swapped sides must fit than the best turn; how much worse the file's own axes may, to be kept."""
_HEAD_CM = 24.0

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ForeignMesh:
    """`vertices` (v, 3) in some unit; `triangles` (t, 3); `moves`: displacements (v, 3) by ARKit name; `colours` (v, 3)
    where the file has them; `parts` names of pieces, `part_of` (t,) whose triangle it is."""

    vertices: NDArray[np.float32]
    triangles: NDArray[np.int32]
    moves: Mapping[str, NDArray[np.float32]]
    colours: NDArray[np.float32] | None
    parts: tuple[str, ...]
    part_of: NDArray[np.int32]


def rig_of(mesh: ForeignMesh, name: str) -> tuple[Rig, tuple[str, ...]]:
    """The mesh as a rig in centimetres before the camera, and what there is to say about it.

    Raises `ValueError` for a mesh that is too large, or of which nothing moves.
    """
    _must_be_a_head(mesh)
    moves, remarks = dict(mesh.moves), list[str]()
    shown = np.array([not part_look(part).hidden for part in mesh.parts], bool)[mesh.part_of]
    if not shown.any():
        shown[:] = True
    if not shown.all():
        hidden = sorted({mesh.parts[i] for i in mesh.part_of[~shown]})
        remarks.append(f"not drawn, transparent in its own tool: {', '.join(hidden[:6])}")
    turn, swapped = _turn_of(mesh.vertices.astype(np.float64), moves)
    if swapped:
        moves = {mirror_name(shape): move for shape, move in moves.items()}
        remarks.append("its Left and Right are the viewer's: taken the other way round")
    scale, shift, how = _placing(mesh.vertices.astype(np.float64) @ turn.T, moves, turn)
    remarks.append(how)
    used, triangles = np.unique(mesh.triangles[shown], return_inverse=True)
    deltas = np.zeros((len(ARKIT_NAMES), len(used), 3), np.float32)
    for shape, move in moves.items():
        deltas[ARKIT_NAMES.index(shape)] = move[used] @ turn.T * scale
    vertices = mesh.vertices[used].astype(np.float64) @ turn.T * scale + shift
    colours, gloss = _looks(mesh, mesh.vertices.astype(np.float64) @ turn.T, used)
    return Rig(
        name,
        vertices.astype(np.float32),
        triangles.reshape(-1, 3).astype(np.int32),
        deltas,
        colours,
        gloss,
    ), tuple(remarks)


def _must_be_a_head(mesh: ForeignMesh) -> None:
    if len(mesh.vertices) > MAX_VERTICES or len(mesh.triangles) > MAX_TRIANGLES:
        raise ValueError(
            f"{len(mesh.vertices)} vertices and {len(mesh.triangles)} triangles: expected at most {MAX_VERTICES} and "
            f"{MAX_TRIANGLES}: export the head alone, or decimate it"
        )
    if not all(np.isfinite(values).all() for values in (mesh.vertices, *mesh.moves.values())):
        raise ValueError("a place or a shape of it is not finite")
    if not np.ptp(mesh.vertices, axis=0).max() > 0:
        raise ValueError("all vertices lie in one place")
    if not any(move.any() for move in mesh.moves.values()):
        raise ValueError("none of its ARKit shapes moves a vertex: export the shapes with the mesh")


def _middles(vertices: Points, moves: Mapping[str, NDArray[np.floating]], shapes: Sequence[str]) -> Points:
    """(n, 3) middle of what each shape moves."""
    found = []
    for shape in shapes:
        weight = (moves[shape].astype(np.float64) ** 2).sum(axis=1)
        found.append((vertices * weight[:, None]).sum(axis=0) / weight.sum())
    return np.array(found).reshape(-1, 3)


def _paired_middles(vertices: Points, moves: Mapping[str, NDArray[np.floating]]) -> tuple[Points, Points]:
    """Middles of the foreign head and of the built-in rig, of the local shapes that both have."""
    own = builtin_rig()
    shapes = [s for s in _LOCAL if s in moves and moves[s].any()]
    ours = {s: own.deltas[ARKIT_NAMES.index(s), :LANDMARKS] for s in shapes}
    return _middles(vertices, moves, shapes), _middles(own.neutral[:LANDMARKS].astype(np.float64), ours, shapes)


def _fit(theirs: Points, ours: Points) -> tuple[float, Points, float]:
    """Scale and shift that bring `theirs` nearest to `ours`, and the root mean square of what is left, cm."""
    a, b = theirs - theirs.mean(axis=0), ours - ours.mean(axis=0)
    scale = float((a * b).sum() / max((a * a).sum(), 1e-30))
    left = float(np.sqrt(((a * scale - b) ** 2).sum(axis=1).mean()))
    return scale, ours.mean(axis=0) - scale * theirs.mean(axis=0), left if scale > 0 else np.inf


def _turn_of(vertices: Points, moves: Mapping[str, NDArray[np.floating]]) -> tuple[Points, bool]:
    """(3, 3) quarter turns from the file's axes to ours, and whether its sides are the viewer's."""
    theirs, ours = _paired_middles(vertices, moves)
    if len(theirs) < _ENOUGH:
        return np.eye(3), False
    found = []
    for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
        turn = np.eye(3)[list(order)] * np.array(signs)[:, None]
        found.append((_fit(theirs @ turn.T, ours)[2], float(np.linalg.det(turn)), turn))
    proper = min((f for f in found if f[1] > 0), key=lambda f: f[0])
    mirrored = min((f for f in found if f[1] < 0), key=lambda f: f[0])
    if mirrored[0] < _SWAPPED * proper[0]:
        # The mirror image fits: with the names swapped, the head itself.
        return mirrored[2] * np.array([-1.0, 1.0, 1.0])[:, None], True
    as_it_stands = _fit(theirs, ours)[2]
    return (np.eye(3) if as_it_stands <= _AS_IT_STANDS * proper[0] else proper[2]), False


def _placing(turned: Points, moves: Mapping[str, NDArray[np.floating]], turn: Points) -> tuple[float, Points, str]:
    """Scale, shift (3,) and in words how they are known."""
    theirs, ours = _paired_middles(turned, moves)
    if len(theirs) >= _ENOUGH:
        scale, shift, _ = _fit(theirs, ours)
        words = "" if np.array_equal(turn, np.eye(3)) else ", turned to face the camera"
        return scale, shift, f"placed by {len(theirs)} shapes: 1 unit of the file is {scale:.4g} cm{words}"
    low, high = turned.min(axis=0), turned.max(axis=0)
    scale = _HEAD_CM / float((high - low)[1] or np.ptp(turned))
    shift = np.array([0.0, 0.0, -4.0]) - scale * (low + high) / 2
    return scale, shift, f"too few shapes to place it by: its whole height is taken for {_HEAD_CM:g} cm"


def _looks(
    mesh: ForeignMesh, ahead: Points, used: NDArray[np.integer]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours (v, 3) and gloss (v,): the file's own, else by the names of its parts. `ahead` (v, 3) faces +z."""
    colours = np.broadcast_to(np.array(SKIN_COLOUR, np.float32), mesh.vertices.shape).copy()
    gloss = np.full(len(mesh.vertices), SKIN_GLOSS, np.float32)
    for i, part in enumerate(mesh.parts):
        look, own = part_look(part), np.unique(mesh.triangles[mesh.part_of == i])
        colours[own], gloss[own] = look.colour, look.gloss
        if look.eyeball:
            for ball in (own[ahead[own, 0] > 0], own[ahead[own, 0] <= 0]):
                _paint_iris(colours, ahead, ball)
    if mesh.colours is not None:
        colours = mesh.colours
    return np.asarray(colours[used], np.float32), gloss[used]


def _paint_iris(colours: NDArray[np.float32], ahead: Points, ball: NDArray[np.integer]) -> None:
    """Iris and pupil on the vertices `ball` of an eyeball, whole or its front alone."""
    if not len(ball):
        return
    low, high = ahead[ball].min(axis=0), ahead[ball].max(axis=0)
    radius, middle = float((high - low)[:2].max()) / 2, (low + high) / 2
    offset = ahead[ball] - [middle[0], middle[1], high[2] - radius]
    angle = np.degrees(np.arctan2(np.linalg.norm(offset[:, :2], axis=1), offset[:, 2]))
    colours[ball[angle < IRIS_DEGREES]] = IRIS_COLOUR
    colours[ball[angle < PUPIL_DEGREES]] = PUPIL_COLOUR
