"""What a rig is and can do: `magictalk rig`, and the rig that other commands are told to use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from magictalk_core.commands.file_record import file_input, file_work
from magictalk_core.commands.untrusted import made_apart
from magictalk_core.errors import UserError
from magictalk_core.rig.builtin import RIG_VERSION, builtin_rig
from magictalk_core.rig.rig import load_rig, save_rig
from magictalk_core.rig.sheet import rig_sheet
from magictalk_core.rig.user_rig import BUILTIN, RigRead, read_rig
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.storage.outputs import must_be_writable
from magictalk_core.vocabulary.arkit import ARKIT_NAMES
from magictalk_core.work.provenance import Input

__all__ = ["RIG_SHEET_VERSION", "ShownRig", "rig_from", "rig_input", "show_rig"]

RIG_SHEET_VERSION = "1"
_READING_S = 300.0


@dataclass(frozen=True)
class ShownRig:
    """What was found in the file: `shapes` how many of the 52 move something, `missing` which do not and stay 0."""

    output: str
    rig: str
    vertices: int
    triangles: int
    shapes: str
    missing: str
    remarks: str


def rig_from(path: Path | None) -> RigRead:
    """The rig of a user's file, read in a process of its own; the built-in one for None and for the word `builtin`.

    Raises `UserError`, which names the file, the cause and what to do.
    """
    if path is None or str(path) == BUILTIN:
        return RigRead(builtin_rig(), (), ())
    if not path.exists():
        raise UserError(f"{path}: no such file or folder of a rig; the rig that needs none is called {BUILTIN}")
    with made_apart(_write_rig, path, suffix=".npz", timeout_s=_READING_S) as piece:
        rig = load_rig(piece)
        with np.load(piece.with_name("said.npz"), allow_pickle=False) as said:
            remarks = tuple(map(str, said["remarks"]))
    missing = [name for name, delta in zip(ARKIT_NAMES, rig.deltas, strict=True) if not delta.any()]
    return RigRead(rig, tuple(missing), remarks)


def rig_input(path: Path | None) -> list[Input]:
    """The file as an input of a provenance record; the built-in rig is none."""
    return [] if path is None or str(path) == BUILTIN else [file_input("rig", path)]


def _write_rig(path: Path, piece: Path) -> None:
    found = read_rig(path)
    save_rig(found.rig, piece)
    np.savez(piece.with_name("said.npz"), remarks=np.array(found.remarks, np.str_))


def show_rig(source: Path | None, output: Path, size: int) -> ShownRig:
    """Write a sheet of the rig's neutral face, expressions and single shapes as a PNG. Raises `UserError`."""
    if output.suffix.lower() != ".png":
        raise UserError(f"-o {output}: expected a file name that ends in .png")
    must_be_writable(output)
    read = rig_from(source)
    asked = {"size": size}
    work = file_work("rig_sheet", output, f"{RIG_SHEET_VERSION}.{RIG_VERSION}", rig_input(source), asked)
    picture = cv2.cvtColor(rig_sheet(read.rig, size), cv2.COLOR_RGB2BGR)
    done, coded = cv2.imencode(".png", picture)
    if not done:
        raise UserError(f"-o {output}: the picture could not be encoded: choose a smaller --size")
    with atomic_path(output) as temporary:
        temporary.write_bytes(coded.tobytes())
    work.record()
    moving = len(ARKIT_NAMES) - len(read.missing)
    return ShownRig(
        output=str(output),
        rig=read.rig.name,
        vertices=len(read.rig.neutral),
        triangles=len(read.rig.triangles),
        shapes=f"{moving} of {len(ARKIT_NAMES)}",
        missing=", ".join(read.missing) or "none",
        remarks="; ".join(read.remarks) or "none",
    )
