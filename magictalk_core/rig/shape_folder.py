"""A rig as OBJ files: a neutral head and one file per ARKit shape, in a folder or in a zip of one.

A stranger's: sizes are bounded before anything is read, nothing is unpacked to the disk, links out of the folder are
not followed.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from magictalk_core.rig.foreign_mesh import MAX_VERTICES, ForeignMesh
from magictalk_core.rig.obj_mesh import MAX_OBJ_BYTES, read_obj, read_obj_vertices
from magictalk_core.rig.shape_names import match_halves, match_shapes, named_few

__all__ = ["DAMAGED_ZIP", "open_folder", "open_zip"]

MAX_FILES, MAX_ALL_BYTES = 500, 1 << 30
_NEUTRAL = ("neutral", "base", "basis", "rest", "default", "neutralpose", "basemesh", "facebase")

Read = Callable[[], bytes]
_T = TypeVar("_T")


def open_folder(path: Path) -> ForeignMesh:
    """The OBJ files of a folder. Raises `ValueError`."""
    files = {
        file.stem: _reader_of(file)
        for file in sorted(path.iterdir())
        if file.suffix.lower() == ".obj" and file.is_file() and file.resolve().is_relative_to(path.resolve())
    }
    return _assembled(files)


DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)
"""What Python's reader of zip files raises on bytes that are none, of another version, or locked."""


def open_zip(path: Path) -> ForeignMesh:
    """The OBJ files of a zip, whatever folders of it they lie in. Raises `ValueError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.lower().endswith(".obj") and not m.is_dir()]
            members = [m for m in members if not m.filename.startswith("__MACOSX")]
            if len({PurePosixPath(m.filename).stem for m in members}) < len(members):
                raise ValueError("two OBJ files of one name: which of them is the rig's? keep one folder of them")
            if sum(m.file_size for m in members) > MAX_ALL_BYTES:
                raise ValueError(f"its OBJ files unpack to more than {MAX_ALL_BYTES >> 20} MB")
            return _assembled({PurePosixPath(m.filename).stem: _member_of(archive, m) for m in members})
    except (*DAMAGED_ZIP, OSError) as error:
        raise ValueError(f"no zip that this reads: {error}") from error


def _reader_of(file: Path) -> Read:
    def read() -> bytes:
        if file.stat().st_size > MAX_OBJ_BYTES:
            raise ValueError(f"larger than {MAX_OBJ_BYTES >> 20} MB")
        return file.read_bytes()

    return read


def _member_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Read:
    def read() -> bytes:
        with archive.open(member) as stream:
            # The directory's size may lie: what is read is bounded too.
            data = stream.read(MAX_OBJ_BYTES + 1)
        if len(data) > MAX_OBJ_BYTES:
            raise ValueError(f"larger than {MAX_OBJ_BYTES >> 20} MB")
        return data

    return read


def _assembled(files: Mapping[str, Read]) -> ForeignMesh:
    if not files:
        raise ValueError("no .obj file in it: expected a neutral head and one file per ARKit shape, like jawOpen.obj")
    if len(files) > MAX_FILES:
        raise ValueError(f"{len(files)} OBJ files: expected a neutral head and one per ARKit shape")
    names = list(files)
    neutral = _neutral_of(names)
    shapes, halves = match_shapes(names), match_halves(names)
    halves = {shape: pair for shape, pair in halves.items() if shape not in shapes}
    if not shapes and not halves:
        raise ValueError(f"no ARKit shape among: {named_few(names)}: name files as ARKit does, like jawOpen.obj")
    rest = _named(neutral, lambda: read_obj(files[neutral]()))
    if len(rest.vertices) > MAX_VERTICES:
        raise ValueError(f"{neutral}.obj: {len(rest.vertices)} vertices: expected at most {MAX_VERTICES}: decimate it")

    def move(place: int) -> NDArray[np.float32]:
        name = names[place]
        vertices, _ = _named(name, lambda: read_obj_vertices(files[name]()))
        if len(vertices) != len(rest.vertices):
            raise ValueError(
                f"{name}.obj has {len(vertices)} vertices, {neutral}.obj {len(rest.vertices)}: expected the same mesh "
                "in every file: export all shapes from one head"
            )
        return vertices - rest.vertices

    moves = {shape: move(place) for shape, place in shapes.items()}
    moves |= {shape: move(left) + move(right) for shape, (left, right) in halves.items()}
    return ForeignMesh(rest.vertices, rest.triangles, moves, rest.colours, rest.materials, rest.material_of)


def _neutral_of(names: Sequence[str]) -> str:
    plain = {name: "".join(c for c in name.lower() if c.isalnum()) for name in names}
    found = [name for name in names if plain[name] in _NEUTRAL]
    found = found or [name for name in names if "neutral" in plain[name]]
    if len(found) != 1:
        what = "no neutral head" if not found else f"several neutral heads, {named_few(found)},"
        raise ValueError(f"{what} among: {named_few(names)}: name it neutral.obj")
    return found[0]


def _named(name: str, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except ValueError as error:
        raise ValueError(f"{name}.obj: {error}") from error
