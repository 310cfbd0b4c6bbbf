"""Derive `magictalk_core/faces/face_mesh_topology.json` from the edge lists of the mediapipe 0.10.21 wheel.

The wheel is Apache-2.0. Its tessellation lists the three edges of each triangle in a row. The front is told by the
landmarks of one frontal face.

    python scripts/dev/derive_face_mesh.py mediapipe-0.10.21-*.whl
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import skimage.data

from magictalk_core.faces.landmarks import portrait_landmarks

MEMBER = "mediapipe/python/solutions/face_mesh_connections.py"
OUT = Path(__file__).parents[2] / "magictalk_core" / "faces" / "face_mesh_topology.json"


def edges(text: str, name: str) -> list[tuple[int, int]]:
    body = re.search(rf"{name} = frozenset\(\[(.*?)\]\)", text, re.S)
    assert body is not None
    return [(int(a), int(b)) for a, b in re.findall(r"\((\d+), (\d+)\)", body[1])]


def loops(pairs: list[tuple[int, int]]) -> list[list[int]]:
    """Edges as closed loops or open chains of indices."""
    neighbours: dict[int, list[int]] = {}
    for a, b in pairs:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    found, seen = [], set()
    for start in sorted(neighbours, key=lambda n: (len(neighbours[n]), n)):
        if start in seen:
            continue
        chain = [start]
        seen.add(start)
        while step := [n for n in neighbours[chain[-1]] if n not in seen]:
            chain.append(step[0])
            seen.add(step[0])
        found.append(chain)
    return found


def orient(triangles: list[list[int]], points: np.ndarray) -> None:
    """Give all triangles one direction, neighbour by neighbour, then make most of them counter-clockwise in the picture.

    The picture alone cannot tell for triangles seen from the side: at the nostrils, the temples, between the lips.
    """
    at: dict[frozenset[int], list[int]] = {}
    for i, (a, b, c) in enumerate(triangles):
        for edge in ((a, b), (b, c), (c, a)):
            at.setdefault(frozenset(edge), []).append(i)
    queue, seen = [0], {0}
    while queue:
        i = queue.pop()
        a, b, c = triangles[i]
        for start, end in ((a, b), (b, c), (c, a)):
            for j in at[frozenset((start, end))]:
                if j not in seen:
                    seen.add(j)
                    queue.append(j)
                    p, q, r = triangles[j]
                    if (start, end) in ((p, q), (q, r), (r, p)):
                        triangles[j].reverse()
    assert len(seen) == len(triangles)
    turn = 0
    for triangle in triangles:
        (ax, ay), (bx, by), (cx, cy) = points[triangle, :2]
        # With y down, a positive cross product is clockwise.
        turn += 1 if (bx - ax) * (cy - ay) > (by - ay) * (cx - ax) else -1
    if turn > 0:
        for triangle in triangles:
            triangle.reverse()


def brow(chains: list[list[int]], points: np.ndarray) -> list[int]:
    """One loop from the chains of the upper and the lower edge: up there and down back."""
    upper, lower = sorted(chains, key=lambda chain: points[chain, 1].mean())
    if np.linalg.norm(points[upper[-1]] - points[lower[0]]) > np.linalg.norm(points[upper[-1]] - points[lower[-1]]):
        lower = lower[::-1]
    return upper + lower


def main() -> None:
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        text = wheel.read(MEMBER).decode()
    flat = edges(text, "FACEMESH_TESSELATION")
    triangles = [[flat[i][0], flat[i + 1][0], flat[i + 2][0]] for i in range(0, len(flat), 3)]
    assert all(flat[i][1] == flat[i + 1][0] and flat[i + 2][1] == flat[i][0] for i in range(0, len(flat), 3))
    points = portrait_landmarks(skimage.data.astronaut())
    assert points is not None
    orient(triangles, points)
    lips = sorted(loops(edges(text, "FACEMESH_LIPS")), key=lambda loop: -np.ptp(points[loop, 1]))
    topology = {
        "triangles": triangles,
        "lips_outer": lips[0],
        "lips_inner": lips[1],
        "left_eye": loops(edges(text, "FACEMESH_LEFT_EYE"))[0],
        "right_eye": loops(edges(text, "FACEMESH_RIGHT_EYE"))[0],
        "face_oval": loops(edges(text, "FACEMESH_FACE_OVAL"))[0],
        "left_brow": brow(loops(edges(text, "FACEMESH_LEFT_EYEBROW")), points),
        "right_brow": brow(loops(edges(text, "FACEMESH_RIGHT_EYEBROW")), points),
    }
    OUT.write_text(json.dumps(topology), encoding="utf-8")


if __name__ == "__main__":
    main()
