"""The parts of a glTF 2.0 document that curves are read from, and the bytes of its buffers.

The file is not trusted: its structure is checked by the models below. A text document may name a data URI or a file in
its own folder; nothing else is opened.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from magictalk_core.rig.curves import MAX_FRAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["Accessor", "Animation", "Channel", "Document", "Mesh", "Primitive", "Sampler", "SparsePart", "open_gltf"]

_MAGIC = b"glTF"
_HEADER = struct.Struct("<4sIIII")
"""Magic, version, length of the file, length and kind of its first chunk."""
_JSON, _BIN = 0x4E4F534A, 0x004E4942
_OWN_GENERATOR = "magictalk "
_POINTER = "KHR_animation_pointer"
_WEIGHTS = re.compile(r"^/(nodes|meshes)/(\d{1,9})/weights$")
_Index = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class _Asset(_Part):
    generator: str = ""


class _Buffer(_Part):
    uri: str | None = None


class _BufferView(_Part):
    buffer: _Index
    byte_offset: _Index = 0
    byte_stride: int | None = None
    extensions: dict[str, Any] = {}


class _SparseIndices(_Part):
    buffer_view: _Index
    byte_offset: _Index = 0
    component_type: int


class _SparseValues(_Part):
    buffer_view: _Index
    byte_offset: _Index = 0


class SparsePart(_Part):
    """Values that differ from the accessor's own, or from 0."""

    count: _Index
    indices: _SparseIndices
    values: _SparseValues


class Accessor(_Part):
    """An array in a buffer."""

    buffer_view: _Index | None = None
    byte_offset: _Index = 0
    component_type: int
    count: _Index
    type: str
    normalized: bool = False
    sparse: SparsePart | None = None
    name: str | None = None


class Primitive(_Part):
    """A piece of a mesh: places, triangles and what moves them."""

    extras: Any = None
    attributes: dict[str, _Index] = {}
    indices: _Index | None = None
    mode: int = 4
    material: _Index | None = None
    targets: tuple[dict[str, _Index], ...] = ()
    extensions: dict[str, Any] = {}


class Mesh(_Part):
    """A mesh with its shapes."""

    name: str | None = None
    extras: Any = None
    primitives: tuple[Primitive, ...] = ()


class _Node(_Part):
    name: str | None = None
    mesh: _Index | None = None
    skin: _Index | None = None
    children: tuple[_Index, ...] = ()
    rotation: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    matrix: tuple[float, ...] | None = None


class _Surface(_Part):
    base_color_factor: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    base_color_texture: Any = None


class _Material(_Part):
    name: str | None = None
    pbr_metallic_roughness: _Surface = _Surface()


class _Target(_Part):
    node: _Index | None = None
    path: str
    extensions: dict[str, Any] = {}


class Channel(_Part):
    """Which sampler moves what."""

    sampler: _Index
    target: _Target


class Sampler(_Part):
    """Keys: times, values and how to go from one to the next."""

    input: _Index
    output: _Index
    interpolation: str = "LINEAR"


class _Notes(_Part):
    """What `write_gltf` says beside the channels."""

    fps: Annotated[float, Field(gt=0, le=1000)] = FRAME_RATE
    frames: Annotated[int, Field(ge=0, le=MAX_FRAMES)] = 0
    origin: str = "gltf/1"
    unknown_shapes: tuple[str, ...] = ()
    unknown_pose: tuple[str, ...] = ()
    pose: _Index | None = None


class Animation(_Part):
    """Channels that are played together."""

    name: str | None = None
    channels: tuple[Channel, ...]
    samplers: tuple[Sampler, ...]
    extras: Any = None

    def notes(self) -> _Notes:
        """The notes of `write_gltf`; to be asked of our own files only."""
        return _Notes.model_validate(self.extras or {})


class Document(_Part):
    """The structure of a file."""

    asset: _Asset = _Asset()
    buffers: tuple[_Buffer, ...] = ()
    buffer_views: tuple[_BufferView, ...] = ()
    accessors: tuple[Accessor, ...] = ()
    meshes: tuple[Mesh, ...] = ()
    nodes: tuple[_Node, ...] = ()
    materials: tuple[_Material, ...] = ()
    animations: tuple[Animation, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether `write_gltf` made this file: other tools carry foreign notes on, with keys that they changed."""
        return self.asset.generator.startswith(_OWN_GENERATOR)

    def shape_names(self, mesh: Mesh) -> tuple[str, ...]:
        """Names of a mesh's shapes: its own, those of a primitive, or those of the shapes' arrays."""
        for extras in (mesh.extras, *(primitive.extras for primitive in mesh.primitives)):
            names = extras.get("targetNames") if isinstance(extras, dict) else None
            if isinstance(names, list) and names:
                return tuple(str(name) for name in names)
        for primitive in mesh.primitives:
            arrays = [target.get("POSITION") for target in primitive.targets]
            spelt = tuple((self.accessors[i].name or "") if i is not None else "" for i in arrays)
            if any(spelt):
                return spelt
        return ()

    def moved_mesh(self, channel: Channel) -> tuple[int, int | None] | None:
        """The mesh whose shape weights `channel` moves, and its node; None for a channel that moves something else."""
        target = channel.target
        if target.path == "weights":
            if target.node is None or (mesh := self.nodes[target.node].mesh) is None:
                raise ValueError("the animated node has no mesh")
            return mesh, target.node
        pointer = target.extensions.get(_POINTER)
        match = _WEIGHTS.match(str(pointer.get("pointer"))) if isinstance(pointer, dict) else None
        if match is None:
            return None
        at = int(match.group(2))
        if match.group(1) == "meshes":
            return at, next((i for i, node in enumerate(self.nodes) if node.mesh == at), None)
        node_mesh = self.nodes[at].mesh
        return None if node_mesh is None else (node_mesh, at)

    def way_up(self, node: int) -> list[int]:
        """`node` and the nodes above it."""
        above = {child: i for i, parent in enumerate(self.nodes) for child in parent.children}
        way = [node]
        while way[-1] in above and above[way[-1]] not in way:
            way.append(above[way[-1]])
        return way


def open_gltf(path: Path) -> tuple[Document, list[memoryview]]:
    """A .glb, .gltf or .vrm file, told apart by its content: structure and the bytes of every buffer.

    Raises `ValueError`, `struct.error` or pydantic's `ValidationError` for a damaged one.
    """
    content = path.read_bytes()
    if not content.startswith(_MAGIC):
        if not content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            raise ValueError("neither binary nor text glTF 2.0")
        document = Document.model_validate_json(content.removeprefix(b"\xef\xbb\xbf"))
        return document, [_outside(path, i, buffer.uri) for i, buffer in enumerate(document.buffers)]
    _, version, _, length, kind = _HEADER.unpack_from(content)
    if (version, kind) != (2, _JSON):
        raise ValueError("not a binary glTF 2.0 file")
    end = _HEADER.size + length
    document = Document.model_validate_json(content[_HEADER.size : end])
    chunk = memoryview(b"")
    if end + 8 <= len(content):
        size, kind = struct.unpack_from("<II", content, end)
        if kind == _BIN:
            chunk = memoryview(content)[end + 8 : end + 8 + size]
    own = [chunk if i == 0 and buffer.uri is None else None for i, buffer in enumerate(document.buffers)]
    return document, [
        data if data is not None else _outside(path, i, document.buffers[i].uri) for i, data in enumerate(own)
    ]


def _outside(path: Path, index: int, uri: str | None) -> memoryview:
    """Bytes of a buffer that is not the binary chunk: a data URI, or a file in the folder of `path`."""
    if uri is None:
        raise ValueError(f"buffer {index} has neither bytes nor a file")
    if uri.startswith("data:"):
        head, _, text = uri.partition(",")
        if not head.endswith(";base64"):
            raise ValueError(f"buffer {index} is a data URI without base64")
        try:
            return memoryview(base64.b64decode(text, validate=True))
        except binascii.Error as error:
            raise ValueError(f"buffer {index} is a damaged data URI: {error}") from error
    folder = path.parent.resolve()
    file = (folder / unquote(uri)).resolve()
    if "://" in uri or not file.is_relative_to(folder):
        raise ValueError(f"buffer {index} lies in another file outside of this folder: save it as one .glb file")
    if not file.is_file():
        raise ValueError(f"buffer {index} lies in another file, {unquote(uri)}, which is not beside this one")
    return memoryview(file.read_bytes())
