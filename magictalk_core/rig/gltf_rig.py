"""A rig from a glTF 2.0 file of a stranger: every mesh of its scene as it stands, with the morph targets that have
ARKit names.

Materials give colours, textures are not drawn. A skinned mesh is taken in the pose in which it was bound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from magictalk_core.rig.foreign_mesh import MAX_TRIANGLES, MAX_VERTICES, ForeignMesh
from magictalk_core.rig.gltf_arrays import read_array, read_indices
from magictalk_core.rig.gltf_document import Document, Mesh, Primitive, open_gltf
from magictalk_core.rig.part_colours import part_look
from magictalk_core.rig.shape_names import match_shapes, named_few
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["MAX_GLTF_BYTES", "open_gltf_rig"]

MAX_GLTF_BYTES = 512 << 20
_TRIANGLES = 4
_COLOUR = "COLOR_0"
_WHITE = 0.99
"""A base colour that says nothing: the look is in a texture, or nowhere."""


def open_gltf_rig(path: Path) -> ForeignMesh:
    """The head in a .glb, .gltf or .vrm file. Raises `ValueError`, which says what is wrong with it."""
    if path.stat().st_size > MAX_GLTF_BYTES:
        raise ValueError(f"larger than {MAX_GLTF_BYTES >> 20} MB: export the head alone")
    try:
        return _read(*open_gltf(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}") from error
    except IndexError as error:
        raise ValueError("a part that the file names is not in it: export it anew") from error
    except struct.error as error:
        raise ValueError("the file is cut: copy or export it anew") from error


@dataclass
class _Pieces:
    """What was read so far."""

    vertices: list[NDArray[np.float32]] = field(default_factory=list)
    triangles: list[NDArray[np.int64]] = field(default_factory=list)
    colours: list[NDArray[np.float32]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    moves: list[dict[str, NDArray[np.float32]]] = field(default_factory=list)


def _read(document: Document, buffers: list[memoryview]) -> ForeignMesh:
    pieces, names = _Pieces(), list[str]()
    for mesh, place in _placed_meshes(document):
        targets = document.shape_names(mesh)
        names += targets
        for primitive in mesh.primitives:
            if primitive.mode == _TRIANGLES and "POSITION" in primitive.attributes:
                _add(pieces, document, buffers, mesh, primitive, match_shapes(targets), place)
    if not pieces.vertices:
        raise ValueError("no mesh of triangles in it: export the head with its mesh")
    if not any(pieces.moves):
        if not names:
            raise ValueError("no ARKit shape: the meshes have no named morph targets (extras.targetNames): export them")
        raise ValueError(f"no ARKit shape among: {named_few(names)}: name them as ARKit does, like jawOpen")
    starts = np.cumsum([0, *map(len, pieces.vertices)])
    moves: dict[str, NDArray[np.float32]] = {}
    for own, start in zip(pieces.moves, starts[:-1], strict=True):
        for shape, move in own.items():
            whole = moves.setdefault(shape, np.zeros((starts[-1], 3), np.float32))
            whole[start : start + len(move)] = move
    return ForeignMesh(
        np.concatenate(pieces.vertices),
        np.concatenate([t + s for t, s in zip(pieces.triangles, starts[:-1], strict=True)]).astype(np.int32),
        {shape: moves[shape] for shape in ARKIT_NAMES if shape in moves},
        np.concatenate(pieces.colours),
        tuple(pieces.parts),
        np.repeat(np.arange(len(pieces.parts)), [len(t) for t in pieces.triangles]).astype(np.int32),
    )


def _placed_meshes(document: Document) -> Iterator[tuple[Mesh, NDArray[np.float64]]]:
    """Meshes with the (4, 4) transform of their node; those of skins stand where they were bound."""
    hung = [i for i, node in enumerate(document.nodes) if node.mesh is not None]
    if not hung:
        yield from ((mesh, np.eye(4)) for mesh in document.meshes)
    for i in hung:
        node, place = document.nodes[i], np.eye(4)
        if node.skin is None:
            for step in document.way_up(i):
                place = _transform(document, step) @ place
        assert node.mesh is not None
        yield document.meshes[node.mesh], place


def _transform(document: Document, index: int) -> NDArray[np.float64]:
    node, found = document.nodes[index], np.eye(4)
    if node.matrix is not None:
        if len(node.matrix) != found.size:
            raise ValueError(f"node {index} has a matrix of {len(node.matrix)} numbers")
        return np.array(node.matrix, np.float64).reshape(4, 4).T
    found[:3, :3] = Rotation.from_quat(node.rotation).as_matrix() * np.array(node.scale)
    found[:3, 3] = node.translation
    return found


def _add(
    pieces: _Pieces,
    document: Document,
    buffers: list[memoryview],
    mesh: Mesh,
    primitive: Primitive,
    shapes: dict[str, int],
    place: NDArray[np.float64],
) -> None:
    """Add one piece."""
    if any("draco" in name.lower() for name in primitive.extensions):
        raise ValueError("the mesh is compressed (KHR_draco_mesh_compression): export it without compression")
    vertices = read_array(document, buffers, primitive.attributes["POSITION"])
    if vertices.shape[1:] != (3,):
        raise ValueError(f"a mesh has places of {vertices.shape[1]} numbers")
    triangles = _triangles(document, buffers, primitive, len(vertices))
    if sum(map(len, pieces.vertices)) + len(vertices) > MAX_VERTICES or len(triangles) > MAX_TRIANGLES:
        raise ValueError(f"more than {MAX_VERTICES} vertices: export the head alone, or decimate it")
    turn = place[:3, :3].astype(np.float32)
    moves = {}
    for shape, at in shapes.items():
        if at < len(primitive.targets) and (index := primitive.targets[at].get("POSITION")) is not None:
            move = read_array(document, buffers, index)
            if move.shape != vertices.shape:
                raise ValueError(f"shape {shape} moves {len(move)} vertices of {len(vertices)}")
            moves[shape] = move @ turn.T
    material = document.materials[primitive.material] if primitive.material is not None else None
    name = " ".join(filter(None, (mesh.name, material.name if material else None))) or f"mesh {len(pieces.parts)}"
    factor = np.array(material.pbr_metallic_roughness.base_color_factor[:3], np.float32) if material else np.ones(3)
    textured = material is not None and material.pbr_metallic_roughness.base_color_texture is not None
    colours = np.broadcast_to(np.clip(factor, 0, 1), vertices.shape)
    if _COLOUR in primitive.attributes:
        own = read_array(document, buffers, primitive.attributes[_COLOUR])
        if len(own) != len(vertices):
            raise ValueError(f"{len(own)} colours of {len(vertices)} vertices")
        colours = np.clip(own[:, :3] * factor, 0, 1)
    elif textured or factor.min() > _WHITE:
        colours = np.broadcast_to(np.array(part_look(name).colour, np.float32), vertices.shape)
    pieces.vertices.append(np.asarray(vertices @ turn.T + place[:3, 3], np.float32))
    pieces.triangles.append(triangles)
    pieces.colours.append(np.asarray(colours, np.float32))
    pieces.parts.append(name[:80])
    pieces.moves.append(moves)


def _triangles(document: Document, buffers: list[memoryview], primitive: Primitive, vertices: int) -> NDArray[np.int64]:
    found = (
        np.arange(vertices, dtype=np.int64)
        if primitive.indices is None
        else read_indices(document, buffers, primitive.indices)
    )
    if len(found) % 3 or (len(found) and found.max() >= vertices):
        raise ValueError("a mesh has triangles that name vertices which it has not")
    return found.reshape(-1, 3)
