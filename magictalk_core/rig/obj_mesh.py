"""Wavefront OBJ as text of a stranger: vertices, their colours if any, polygons as triangles with their material.

Of the format only what a rig needs is read: `v`, `f`, `usemtl`, `g` and `o`. A material library is not opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_OBJ_BYTES", "ObjMesh", "read_obj", "read_obj_vertices"]

MAX_OBJ_BYTES = 64 << 20
"""Of one file: a head of 200 000 vertices has 20 MB."""
_COORDINATES, _WITH_COLOUR = 3, 6
_FEW = 3
"""Corners of the least polygon."""


@dataclass(frozen=True, eq=False)
class ObjMesh:
    """`vertices` (v, 3) in the unit of the file; `colours` (v, 3) 0..1 or None; `triangles` (t, 3) vertex numbers from
    0; `materials` and, per triangle, the number of its own (t,)."""

    vertices: NDArray[np.float32]
    colours: NDArray[np.float32] | None
    triangles: NDArray[np.int32]
    materials: tuple[str, ...]
    material_of: NDArray[np.int32]


def read_obj_vertices(data: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Vertices (v, 3) and their colours (v, 3) where the file gives them. Raises `ValueError`."""
    lines = [line[2:] for line in data.splitlines() if line.startswith((b"v ", b"v\t"))]
    if not lines:
        raise ValueError("no vertex (a line `v x y z`)")
    widths = {len(line.split()) for line in lines}
    if len(widths) != 1 or (width := widths.pop()) < _COORDINATES:
        raise ValueError(f"vertices of {sorted(widths) or width} numbers: expected three, or six with a colour")
    try:
        numbers = np.array(b" ".join(lines).split(), np.float64).reshape(len(lines), width)
    except ValueError as error:
        raise ValueError(f"a vertex is no number: {error}") from error
    with np.errstate(over="ignore"):
        found = numbers.astype(np.float32)
    if not np.isfinite(found).all():
        at = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise ValueError(f"vertex {at + 1} is not finite")
    # A fourth number is a weight for curves, which meshes do not use.
    colours = np.clip(found[:, 3:6], 0.0, 1.0) if width >= _WITH_COLOUR else None
    return found[:, :3], colours


def read_obj(data: bytes) -> ObjMesh:
    """The whole mesh. Polygons are cut into fans. Raises `ValueError`, which names the line."""
    vertices, colours = read_obj_vertices(data)
    triangles: list[tuple[int, int, int]] = []
    materials: dict[str, int] = {}
    material_of: list[int] = []
    current, group = "", ""
    for number, line in enumerate(data.splitlines(), start=1):
        kind, _, rest = line.partition(b" ")
        if kind == b"f":
            corners = [_corner(part, len(vertices), number) for part in rest.split()]
            if len(corners) < _FEW:
                raise ValueError(f"line {number}: a polygon of {len(corners)} corners")
            place = materials.setdefault(current or group, len(materials))
            for second, third in pairwise(corners[1:]):
                triangles.append((corners[0], second, third))
                material_of.append(place)
        elif kind == b"usemtl":
            current = _name(rest)
        elif kind in (b"g", b"o"):
            group = _name(rest)
    if not triangles:
        raise ValueError("no polygon (a line `f 1 2 3`)")
    return ObjMesh(vertices, colours, np.array(triangles, np.int32), tuple(materials), np.array(material_of, np.int32))


def _corner(text: bytes, vertices: int, line: int) -> int:
    """The vertex of a polygon's corner `v`, `v/vt` or `v/vt/vn`; below 0 it counts from the end."""
    first = text.split(b"/", 1)[0]
    try:
        value = int(first)
    except ValueError:
        raise ValueError(f"line {line}: a corner that is no number: {_name(text)!r}") from None
    index = value - 1 if value > 0 else vertices + value
    if value == 0 or not 0 <= index < vertices:
        raise ValueError(f"line {line}: a polygon names vertex {value} of {vertices}")
    return index


def _name(text: bytes) -> str:
    return text.decode("utf-8", "replace").strip()[:80]
