"""ICT-FaceKit Light as one .npz of the 52 ARKit shapes: `neutral`, `faces` (quads, -1 for a triangle's fourth corner),
`arkit_names`, `arkit_deltas`.

Source: github.com/ICT-VGL/ICT-FaceKit, MIT. The parts are told by the ranges of polygons that its OBJ files name with
`usemtl`; a mesh of another size is one part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.rig.foreign_mesh import ForeignMesh
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["is_ict", "open_ict"]

_POLYGONS = 26_384
_PARTS = (
    ("face", 9_230), ("head and neck", 11_144), ("mouth socket", 13_226), ("eye socket", 14_034),
    ("gums and tongue", 17_006), ("teeth", 21_496), ("sclera left", 22_296), ("iris left", 23_094),
    ("sclera right", 23_894), ("iris right", 24_692), ("lacrimal", 25_018), ("eyeblend", 25_048),
    ("occlusion", 25_304), ("lashes", 26_384),
)  # fmt: skip
"""Names, and the polygon behind the last one of each."""


def is_ict(file: Mapping[str, Any]) -> bool:
    """Whether an .npz has the arrays of this form."""
    return {"neutral", "faces", "arkit_names", "arkit_deltas"} <= set(file)


def open_ict(file: Mapping[str, Any]) -> ForeignMesh:
    """The head in the opened .npz. Raises `ValueError`."""
    neutral, faces, deltas = file["neutral"], file["faces"], file["arkit_deltas"]
    names = [str(name) for name in file["arkit_names"]]
    wanted = (len(names), len(neutral), 3)
    if neutral.shape != (len(neutral), 3) or deltas.shape != wanted or faces.shape != (len(faces), 4):
        raise ValueError(
            f"neutral {neutral.shape}, faces {faces.shape}, arkit_deltas {deltas.shape}: expected {wanted}"
        )
    if neutral.dtype.kind != "f" or deltas.dtype.kind != "f" or faces.dtype.kind not in "iu":
        raise ValueError(f"neutral of {neutral.dtype}, faces of {faces.dtype}, arkit_deltas of {deltas.dtype}")
    if not len(faces) or faces[:, :3].min() < 0 or faces.max() >= len(neutral):
        raise ValueError("its faces name vertices which it has not")
    triangles, of = _cut(faces.astype(np.int32))
    ends = [end for _, end in _PARTS]
    known = len(faces) == _POLYGONS
    parts = tuple(name for name, _ in _PARTS) if known else ("face",)
    part_of = np.searchsorted(ends, of, side="right") if known else np.zeros(len(of), int)
    moves = {n: np.asarray(d, np.float32) for n, d in zip(names, deltas, strict=True) if n in ARKIT_NAMES and d.any()}
    return ForeignMesh(np.asarray(neutral, np.float32), triangles, moves, None, parts, part_of.astype(np.int32))


def _cut(faces: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Triangles of quads, and of which quad each is."""
    second = np.flatnonzero(faces[:, 3] >= 0)
    triangles = np.concatenate([faces[:, :3], faces[second][:, [0, 2, 3]]])
    return triangles, np.concatenate([np.arange(len(faces)), second])
