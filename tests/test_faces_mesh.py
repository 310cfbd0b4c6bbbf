"""The face mesh: orientation, holes, loops, and left against right."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from magictalk_core.faces import mesh
from magictalk_core.faces.solver import neutral_face

LOOPS = ("LIPS_INNER", "LIPS_OUTER", "LEFT_EYE", "RIGHT_EYE", "FACE_OVAL", "LEFT_BROW", "RIGHT_BROW")
HOLES = ("LIPS_INNER", "LEFT_EYE", "RIGHT_EYE")


def _edges() -> Counter[tuple[int, int]]:
    return Counter((int(t[i]), int(t[(i + 1) % 3])) for t in mesh.TRIANGLES for i in range(3))


def test_the_mesh_is_one_oriented_surface_over_all_landmarks() -> None:
    assert mesh.TRIANGLES.dtype == np.int32 and mesh.TRIANGLES.shape[1] == 3
    assert set(mesh.TRIANGLES.ravel().tolist()) == set(range(mesh.LANDMARKS))
    # Every directed edge occurs once: neighbours agree on the direction, and no edge has three triangles.
    assert set(_edges().values()) == {1}


def test_the_borders_are_the_oval_the_eyes_and_the_mouth() -> None:
    edges = _edges()
    border = {frozenset(e) for e in edges if (e[1], e[0]) not in edges}
    loops = {frozenset(pair) for name in (*HOLES, "FACE_OVAL") for pair in _pairs(getattr(mesh, name))}
    assert border == loops


def _pairs(loop: tuple[int, ...]) -> list[tuple[int, int]]:
    return list(zip(loop, loop[1:] + loop[:1], strict=True))


def test_triangles_are_counter_clockwise_seen_from_the_front() -> None:
    a, b, c = (neutral_face()[mesh.TRIANGLES[:, i], :2] for i in range(3))
    area = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (area > 0).mean() > 0.95


@pytest.mark.parametrize("name", LOOPS)
def test_loops_are_ordered_and_simple(name: str) -> None:
    loop = getattr(mesh, name)
    assert isinstance(loop, tuple) and len(set(loop)) == len(loop)
    if "BROW" not in name:
        edges = {frozenset(e) for e in _edges()}
        assert all(frozenset(pair) in edges for pair in _pairs(loop))
    points = neutral_face()[list(loop), :2].astype(float)
    sides = [(points[i], points[(i + 1) % len(loop)]) for i in range(len(loop))]
    crossings = [(i, j) for i in range(len(sides)) for j in range(i) if _cross(sides[i], sides[j])]
    assert crossings == []


def _cross(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether two segments cut each other, shared ends apart."""

    def side(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> float:
        return float(np.sign((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])))

    return side(*one, other[0]) * side(*one, other[1]) < 0 and side(*other, one[0]) * side(*other, one[1]) < 0


def test_left_is_the_subjects_left() -> None:
    face = neutral_face()
    for left, right in ((mesh.LEFT_EYE, mesh.RIGHT_EYE), (mesh.LEFT_BROW, mesh.RIGHT_BROW)):
        assert face[list(left), 0].min() > 0 > face[list(right), 0].max()
