"""Rigs that users bring, whatever form they have: the one place that tells forms apart.

The file is not trusted: callers outside of tests read it in a process of its own (`commands.untrusted.rig_from`).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.rig.foreign_mesh import MAX_VERTICES, ForeignMesh, rig_of
from magictalk_core.rig.gltf_rig import open_gltf_rig
from magictalk_core.rig.ict_facekit import is_ict, open_ict
from magictalk_core.rig.rig import Rig, load_rig
from magictalk_core.rig.shape_folder import DAMAGED_ZIP, open_folder, open_zip
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["BUILTIN", "RigRead", "read_rig"]

BUILTIN = "builtin"
"""The name of the rig that needs no file."""

_GLTF = (".glb", ".gltf", ".vrm")
_FORMS = "a .glb, .gltf or .vrm file, a folder or .zip of OBJ files (neutral.obj, jawOpen.obj, ...), or a rig's .npz"
_MAX_NPZ_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class RigRead:
    """`missing`: ARKit shapes that the file lacks, or that move nothing; they are 0. `remarks`: what else to know."""

    rig: Rig
    missing: tuple[str, ...]
    remarks: tuple[str, ...]


def read_rig(path: Path) -> RigRead:
    """A rig of any form. Raises `UserError`, which names the file, what is wrong, and what to do."""
    try:
        if path.is_dir():
            rig, remarks = _placed(open_folder(path), path)
        elif not path.is_file():
            raise UserError(f"{path}: no such rig: expected {_FORMS}")
        elif (suffix := path.suffix.lower()) in _GLTF:
            rig, remarks = _placed(open_gltf_rig(path), path)
        elif suffix == ".zip":
            rig, remarks = _placed(open_zip(path), path)
        elif suffix == ".npz":
            rig, remarks = _arrays(path)
        else:
            raise UserError(f"{path}: no form of a rig: expected {_FORMS}")
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: {error}") from error
    missing = [name for name, delta in zip(ARKIT_NAMES, rig.deltas, strict=True) if not delta.any()]
    return RigRead(rig, tuple(missing), remarks)


def _placed(mesh: ForeignMesh, path: Path) -> tuple[Rig, tuple[str, ...]]:
    return rig_of(mesh, path.stem[:80] or "rig")


def _arrays(path: Path) -> tuple[Rig, tuple[str, ...]]:
    """An .npz of this project, or of ICT-FaceKit."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_NPZ_BYTES:
                raise ValueError(f"it unpacks to more than {_MAX_NPZ_BYTES >> 20} MB")
        with np.load(path, allow_pickle=False) as file:
            if is_ict(file):
                return _placed(open_ict(file), path)
        rig = load_rig(path)
    except (*DAMAGED_ZIP, KeyError) as error:
        raise ValueError(f"no rig that this reads: {error}: expected {_FORMS}") from error
    except PermanentError as error:
        raise ValueError(str(error).removeprefix(f"{path}: ")) from error
    _must_be_whole(rig)
    return rig, ()


def _must_be_whole(rig: Rig) -> None:
    """A file of our own form that somebody else wrote."""
    v, t = len(rig.neutral), len(rig.triangles)
    shapes = {
        "neutral": (rig.neutral, (v, 3)), "triangles": (rig.triangles, (t, 3)),
        "deltas": (rig.deltas, (len(ARKIT_NAMES), v, 3)), "colours": (rig.colours, (v, 3)), "gloss": (rig.gloss, (v,)),
    }  # fmt: skip
    for name, (array, shape) in shapes.items():
        kinds = "iu" if name == "triangles" else "f"
        if array.shape != shape or array.dtype.kind not in kinds or not np.isfinite(array).all():
            raise ValueError(f"its array {name} has shape {array.shape} of {array.dtype}, expected {shape}, finite")
    if not 0 < v <= MAX_VERTICES or not t or rig.triangles.min() < 0 or rig.triangles.max() >= v:
        raise ValueError("its triangles name vertices which it has not")
