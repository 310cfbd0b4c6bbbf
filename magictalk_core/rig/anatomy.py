"""The built-in rig: the points of the face mesh first, then the head that is drawn around and through them.

The first 468 vertices are MediaPipe's landmarks with the shapes of `shapes.py`: metrics, solver and portraits stand on
them, and nothing is drawn of them. What is drawn is a finer skin of the same mesh, whose shapes are as strong as
trackers read them, with eyeballs, mouth, skull, hair, ears and neck. Decision 024 says why the two are apart.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from magictalk_core.faces.mesh import (
    FACE_OVAL,
    LANDMARKS,
    LEFT_BROW,
    LEFT_EYE,
    LIPS_INNER,
    LIPS_OUTER,
    RIGHT_BROW,
    RIGHT_EYE,
    TRIANGLES,
)
from magictalk_core.faces.solver import neutral_face
from magictalk_core.rig.mesh_part import MeshPart, Points, grid, smooth, turned_by
from magictalk_core.rig.mouth_parts import inner_mouth, teeth, tongue
from magictalk_core.rig.part_colours import EYE_WHITE, IRIS_COLOUR, PUPIL_COLOUR, SKIN_COLOUR, SKIN_GLOSS
from magictalk_core.rig.rig import Rig
from magictalk_core.rig.shapes import EYE_RADIUS, face_deltas
from magictalk_core.rig.skull_parts import HAIR_COLOUR, ear, neck, skull
from magictalk_core.rig.subdivide import FineMesh, subdivided
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["LOOK_DEGREES", "build_rig"]

_LIP, _LASH, _BLUSH = (0.66, 0.38, 0.37), (0.16, 0.11, 0.10), (0.80, 0.52, 0.46)

LOOK_DEGREES = 24.0
"""How far an eye turns at weight 1 of an eyeLook shape."""

_LEVELS = 2
_UPPER_LIP, _LOWER_LIP = 13, 14

_DRAWN_STRENGTH = {
    "mouthSmile": 1.75, "mouthFrown": 1.6, "mouthStretch": 1.6, "mouthUpperUp": 2.0, "mouthLowerDown": 1.35,
    "mouthPress": 2.0, "mouthShrugLower": 2.0, "mouthShrugUpper": 1.4, "mouthFunnel": 1.6, "mouthDimple": 1.6,
    "mouth": 1.5, "browDown": 1.8, "browInnerUp": 1.65, "browOuterUp": 2.1, "eyeWide": 1.2, "eyeSquint": 1.9,
    "cheekSquint": 1.5, "noseSneer": 2.0,
}  # fmt: skip
"""The shapes of the landmarks are milder than other rigs' of the same name. What is drawn goes as far as Apple's
reference head or ICT-FaceKit, whichever goes farther (peak displacement after `foreign_mesh` has placed them; frown and
lowered brow farther: viewers and judges did not see them otherwise). `mouth` is mouthLeft and mouthRight."""


def _strengths() -> Points:
    stems = [name.removesuffix("Left").removesuffix("Right") for name in ARKIT_NAMES]
    return np.array([_DRAWN_STRENGTH.get(stem, 1.0) for stem in stems])


def _between_lips() -> list[int]:
    """Landmarks of the rings between the outer and the inner rim of the lips."""
    return [
        11, 12, 15, 16, 38, 41, 42, 62, 72, 73, 74, 76, 77, 85, 86, 89, 90, 96, 179, 180, 183, 184,
        268, 271, 272, 292, 302, 303, 304, 306, 307, 315, 316, 319, 320, 325, 403, 404, 407, 408,
    ]  # fmt: skip


def _mask(fine: FineMesh, landmarks: list[int], low: float, high: float) -> Points:
    """(fine, 1) 1 at and between the landmarks, 0 away from them, with an edge as sharp as the fine mesh shows."""
    coarse = np.zeros(LANDMARKS)
    coarse[landmarks] = 1.0
    return smooth(fine.matrix @ coarse, low, high)[:, None]


def _skin(fine: FineMesh, vertices: Points, deltas: Points) -> MeshPart:
    colours = np.broadcast_to(np.array(SKIN_COLOUR), vertices.shape).copy()
    x, y = np.abs(vertices[:, 0]), vertices[:, 1]
    blush = 0.35 * np.exp(-((x - 3.9) ** 2 + (y + 0.4) ** 2) / 3.2)[:, None]
    painted = (
        (blush, _BLUSH),
        (_mask(fine, [*LIPS_OUTER, *LIPS_INNER, *_between_lips()], 0.45, 0.8), _LIP),
        (0.85 * _mask(fine, [*LEFT_BROW, *RIGHT_BROW], 0.6, 0.92), HAIR_COLOUR),
        (0.75 * _mask(fine, [*LEFT_EYE, *RIGHT_EYE], 0.7, 0.98), _LASH),
    )
    for share, colour in painted:
        colours += share * (np.array(colour) - colours)
    return MeshPart(vertices, fine.triangles, colours, SKIN_GLOSS, dict(zip(ARKIT_NAMES, deltas, strict=True)))


def _eye(loop: tuple[int, ...], face: Points, side: str) -> MeshPart:
    """A sphere behind the lids, rings around the viewing direction: pupil, iris with its dark edge, white."""
    middle = face[list(loop)].mean(axis=0)
    centre = np.array([middle[0], middle[1], face[list(loop), 2].max() - EYE_RADIUS - 0.16])
    angles = np.radians([0, 9, 10, 17, 24, 26.5, 28, 40, 55, 70, 90])
    iris = np.array(IRIS_COLOUR)
    shades = [PUPIL_COLOUR, PUPIL_COLOUR, iris * 0.8, iris * 1.25, iris, iris * 0.4]
    colours = [np.array(c) for c in (*shades, *[EYE_WHITE] * (len(angles) - len(shades)))]
    around = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    rings = [
        centre
        + EYE_RADIUS * np.stack([np.sin(a) * np.cos(around), np.sin(a) * np.sin(around), np.full(32, np.cos(a))], 1)
        for a in angles
    ]
    vertices = np.concatenate(rings)
    # `In` is towards the nose: the subject's left eye turns to the right, and the other way round.
    inward = -LOOK_DEGREES if side == "Left" else LOOK_DEGREES
    moves = {
        f"eyeLookDown{side}": turned_by(vertices, centre, LOOK_DEGREES * 0.8, 0),
        f"eyeLookUp{side}": turned_by(vertices, centre, -LOOK_DEGREES * 0.8, 0),
        f"eyeLookIn{side}": turned_by(vertices, centre, 0, inward),
        f"eyeLookOut{side}": turned_by(vertices, centre, 0, -inward),
    }
    return MeshPart(vertices, grid(len(angles), 32, closed=True), np.repeat(colours, 32, axis=0), 0.8, moves)


def _drawn_parts(face: Points, deltas: Points) -> list[MeshPart]:
    """Of the landmarks (468, 3) and their shapes (52, 468, 3): all that is seen."""
    fine = subdivided(TRIANGLES, LANDMARKS, (FACE_OVAL, LIPS_INNER), _LEVELS)
    oval, lips = (list(loop) for loop in fine.loops)
    vertices = np.asarray(fine.matrix @ face)
    strong = deltas * _strengths()[:, None, None]
    moves = np.stack([fine.matrix @ one for one in strong])

    def of_loop(loop: list[int]) -> dict[str, Points]:
        return {n: move[loop] for n, move in zip(ARKIT_NAMES, moves, strict=True) if np.abs(move[loop]).max() > 1e-6}

    return [
        _skin(fine, vertices, moves),
        skull(vertices[oval], of_loop(oval)),
        ear(1.0),
        ear(-1.0),
        neck(),
        _eye(LEFT_EYE, face, "Left"),
        _eye(RIGHT_EYE, face, "Right"),
        inner_mouth(vertices[lips], of_loop(lips)),
        teeth(face[_UPPER_LIP], face[_LOWER_LIP], lower=False),
        teeth(face[_UPPER_LIP], face[_LOWER_LIP], lower=True),
        tongue(face[_LOWER_LIP]),
    ]


def _in_microns(part: MeshPart) -> MeshPart:
    """Places and displacements in whole thousandths of a millimetre: exported text is half as long, and what does not
    move is 0."""
    moves = {name: np.round(move, 4) for name, move in part.moves.items()}
    return replace(part, vertices=np.round(part.vertices, 4), moves={n: m for n, m in moves.items() if m.any()})


def build_rig() -> Rig:
    """Put the parts together: one vertex array, the landmarks first."""
    face, deltas = neutral_face().astype(np.float64), face_deltas()
    landmarks = MeshPart(
        face, np.zeros((0, 3), np.int32), np.broadcast_to(np.array(SKIN_COLOUR), face.shape), SKIN_GLOSS,
        dict(zip(ARKIT_NAMES, deltas, strict=True)),
    )  # fmt: skip
    parts = [landmarks, *map(_in_microns, _drawn_parts(face, deltas))]
    starts = np.cumsum([0, *(len(p.vertices) for p in parts)])
    all_deltas = np.zeros((len(ARKIT_NAMES), starts[-1], 3))
    for part, start in zip(parts, starts[:-1], strict=True):
        for name, move in part.moves.items():
            all_deltas[ARKIT_NAMES.index(name), start : start + len(move)] = move
    return Rig(
        "magictalk-builtin-2",
        np.concatenate([p.vertices for p in parts]).astype(np.float32),
        np.concatenate([p.triangles + s for p, s in zip(parts, starts[:-1], strict=True)]).astype(np.int32),
        all_deltas.astype(np.float32),
        np.concatenate([p.colours for p in parts]).astype(np.float32),
        np.concatenate([np.full(len(p.vertices), p.gloss) for p in parts]).astype(np.float32),
    )
