"""A blendshape rig: v = neutral + sum of weight times delta over the 52 ARKit shapes, then the rigid head pose.

Axes and signs are those of `magictalk_core.vocabulary.arkit`; lengths are centimetres.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.faces.head_pose import head_turns, rotation_of
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES

__all__ = ["PIVOT", "Rig", "drawn_part", "load_rig", "save_rig"]

PIVOT = np.array([0.0, -6.0, -6.0])
"""The head turns about the top of the neck."""


@dataclass(frozen=True, eq=False)
class Rig:
    """neutral (v, 3) cm; triangles (t, 3) counter-clockwise from outside; deltas (52, v, 3) in ARKIT_NAMES order;
    colours (v, 3) 0..1; gloss (v,) 0..1."""

    name: str
    neutral: NDArray[np.float32]
    triangles: NDArray[np.int32]
    deltas: NDArray[np.float32]
    colours: NDArray[np.float32]
    gloss: NDArray[np.float32]

    def shape(self, coefficients: NDArray[np.floating]) -> NDArray[np.float32]:
        """Vertices (v, 3) for (52,) coefficients, NaN taken as 0, without head pose."""
        weights = np.nan_to_num(coefficients).astype(np.float32)
        moved = np.flatnonzero(weights)
        return np.asarray(self.neutral + np.tensordot(weights[moved], self.deltas[moved], axes=1))

    def pose(self, motion_row: NDArray[np.floating]) -> NDArray[np.float32]:
        """Vertices (v, 3) for one motion row (58,) in MOTION_NAMES order: shape, then head rotation about the neck.

        The translation of the row is where a camera saw the head; a renderer frames the head itself and leaves it out.
        """
        row = np.nan_to_num(motion_row)
        shaped = self.shape(row[: len(ARKIT_NAMES)])
        pitch, yaw, roll = (float(row[MOTION_NAMES.index(f"head_{a}_deg")]) for a in ("pitch", "yaw", "roll"))
        return np.asarray((shaped - PIVOT) @ rotation_of(pitch, yaw, roll).T + PIVOT, np.float32)

    def poses(self, motion: NDArray[np.floating], points: int) -> NDArray[np.float32]:
        """The first `points` vertices as `pose` puts them, of all rows (n, 58) at once: (n, points, 3)."""
        rows = np.nan_to_num(motion)
        flat = self.deltas[:, :points].reshape(len(ARKIT_NAMES), -1)
        moved = (rows[:, : len(ARKIT_NAMES)].astype(np.float32) @ flat).reshape(len(rows), points, 3)
        angles = rows[:, [MOTION_NAMES.index(f"head_{a}_deg") for a in ("pitch", "yaw", "roll")]]
        turns = head_turns(angles).as_matrix().swapaxes(1, 2)
        return np.asarray((self.neutral[:points] + moved - PIVOT) @ turns + PIVOT, np.float32)


def drawn_part(rig: Rig) -> Rig:
    """The rig without vertices that no triangle uses: the landmarks of the built-in one are points to measure at, and
    other programs would show them as loose ones."""
    used, corners = np.unique(rig.triangles, return_inverse=True)
    return Rig(
        rig.name,
        rig.neutral[used],
        corners.reshape(-1, 3).astype(np.int32),
        rig.deltas[:, used],
        rig.colours[used],
        rig.gloss[used],
    )


def save_rig(rig: Rig, path: Path) -> None:
    """Write a rig as `.npz`; equal rigs give equal bytes."""
    arrays = {k: getattr(rig, k) for k in ("neutral", "triangles", "deltas", "colours", "gloss")}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, name=np.array(rig.name), arkit_names=np.array(ARKIT_NAMES), **arrays)


def load_rig(path: Path) -> Rig:
    """Read a rig; shapes are mapped by name."""
    if not path.is_file():
        raise PermanentError(f"no rig at {path}: type `magictalk run --select rig`")
    with np.load(path, allow_pickle=False) as file:
        names = [str(n) for n in file["arkit_names"]]
        missing = sorted(set(ARKIT_NAMES) - set(names))
        if missing:
            raise PermanentError(f"{path}: the rig lacks the ARKit shapes {missing}")
        order = [names.index(n) for n in ARKIT_NAMES]
        return Rig(
            str(file["name"]), file["neutral"], file["triangles"], file["deltas"][order], file["colours"], file["gloss"]
        )
