"""Reading curves from a glTF 2.0 binary file, ours or another tool's, which is not trusted.

Nothing but the file itself is opened. Its structure is checked by the models below, numbers of bytes and frames before
anything is allocated.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from scipy.spatial.transform import Rotation

from magictalk_core.errors import UserError
from magictalk_core.faces.head_pose import angles_of
from magictalk_core.rig.curves import Curves
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["read_gltf"]

_HEADER = struct.Struct("<4sIIII")
"""Magic, version, length of the file, length and kind of its first chunk."""
_JSON, _BIN = 0x4E4F534A, 0x004E4942
_FLOAT = 5126
_WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
_MAX_FRAMES = 1_000_000
"""Eleven hours at 25 frames per second: 230 MB of curves."""

_Index = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class _Buffer(_Part):
    uri: str | None = None


class _BufferView(_Part):
    buffer: _Index
    byte_offset: _Index = 0
    byte_stride: int | None = None


class _Accessor(_Part):
    buffer_view: _Index
    byte_offset: _Index = 0
    component_type: int
    count: _Index
    type: str
    sparse: Any = None


class _ShapeNames(_Part):
    target_names: tuple[str, ...] = ()


class _Mesh(_Part):
    extras: _ShapeNames = _ShapeNames()


class _Node(_Part):
    mesh: _Index | None = None


class _Target(_Part):
    node: _Index | None = None
    path: str


class _Channel(_Part):
    sampler: _Index
    target: _Target


class _Sampler(_Part):
    input: _Index
    output: _Index


class _Notes(_Part):
    """What `write_gltf` says beside the channels."""

    fps: Annotated[float, Field(gt=0, le=1000)] = FRAME_RATE
    frames: Annotated[int, Field(ge=0, le=_MAX_FRAMES)] = 0
    origin: str = "gltf/1"
    unknown_shapes: tuple[str, ...] = ()
    pose: _Index | None = None


class _Animation(_Part):
    name: str | None = None
    channels: tuple[_Channel, ...]
    samplers: tuple[_Sampler, ...]
    extras: _Notes = _Notes()

    def output(self, channel: _Channel) -> int:
        return self.samplers[channel.sampler].output


class _Document(_Part):
    buffers: tuple[_Buffer, ...] = ()
    buffer_views: tuple[_BufferView, ...] = ()
    accessors: tuple[_Accessor, ...] = ()
    meshes: tuple[_Mesh, ...] = ()
    nodes: tuple[_Node, ...] = ()
    animations: tuple[_Animation, ...] = ()

    def shape_animation(self) -> tuple[_Animation, _Channel]:
        """The first channel of shape weights, and the animation that has it."""
        for animation in self.animations:
            for channel in animation.channels:
                if channel.target.path == "weights":
                    return animation, channel
        raise ValueError("no animation of shape weights")

    def shape_names(self, channel: _Channel) -> tuple[str, ...]:
        """Names of the shapes that a channel moves."""
        if channel.target.node is None or (mesh := self.nodes[channel.target.node].mesh) is None:
            raise ValueError("the animated node has no mesh")
        return self.meshes[mesh].extras.target_names


def read_gltf(path: Path, fps: float | None = None) -> Curves:
    """The first animation of shape weights in a .glb file whose morph targets have ARKit names.

    `fps`: rate at which keys are read; default the file's own note, else 25. Raises `UserError` for any other file.
    """
    try:
        document, data = _chunks(path.read_bytes())
        return _curves_of(document, data, path.stem, fps)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        raise UserError(f"{path}: no animation of ARKit shapes that this reads: {reason}") from error
    except IndexError as error:
        raise UserError(f"{path}: no animation of ARKit shapes that this reads: a missing part is named") from error
    except (struct.error, ValueError) as error:
        raise UserError(f"{path}: no animation of ARKit shapes that this reads: {error}") from error


def _chunks(content: bytes) -> tuple[_Document, memoryview]:
    magic, version, _, length, kind = _HEADER.unpack_from(content)
    if (magic, version, kind) != (b"glTF", 2, _JSON):
        raise ValueError("not a binary glTF 2.0 file")
    end = _HEADER.size + length
    document = _Document.model_validate_json(content[_HEADER.size : end])
    size, kind = struct.unpack_from("<II", content, end)
    if kind != _BIN:
        raise ValueError("no binary chunk behind the structure")
    return document, memoryview(content)[end + 8 : end + 8 + size]


def _read(document: _Document, data: memoryview, index: int) -> NDArray[np.float32]:
    """(count, width) floats of an accessor; packed, as every exporter writes animations."""
    accessor = document.accessors[index]
    view = document.buffer_views[accessor.buffer_view]
    width = _WIDTHS.get(accessor.type)
    packed = width is not None and accessor.sparse is None and view.byte_stride in (None, 4 * width)
    if width is None or accessor.component_type != _FLOAT or not packed:
        raise ValueError(f"accessor {index} is not packed float")
    if view.buffer != 0 or document.buffers[0].uri is not None:
        raise ValueError(f"accessor {index} lies in another file: save it as one .glb file")
    start, size = view.byte_offset + accessor.byte_offset, accessor.count * width
    if start + 4 * size > len(data):
        raise ValueError(f"accessor {index} ends behind the file")
    return np.frombuffer(data, "<f4", size, start).reshape(-1, width)


def _curves_of(document: _Document, data: memoryview, name: str, fps: float | None) -> Curves:
    animation, channel = document.shape_animation()
    names, notes = document.shape_names(channel), animation.extras
    if not set(names) & set(ARKIT_NAMES):
        raise ValueError("no shape of the mesh has an ARKit name")
    rate = float(fps or notes.fps)
    times = _read(document, data, animation.samplers[channel.sampler].input)[:, 0].astype(np.float64)
    if not len(times) or not ((times >= 0) & (times * rate < _MAX_FRAMES)).all():
        raise ValueError(f"expected keys from 0 to {_MAX_FRAMES / rate:.0f} s")
    values = _read(document, data, animation.output(channel)).reshape(len(times), len(names))
    at = np.round(times * rate).astype(int)
    n = max(notes.frames, int(at.max()) + 1)
    coefficients = np.full((n, len(ARKIT_NAMES)), np.nan, np.float32)
    for i, shape in enumerate(ARKIT_NAMES):
        if shape in names and shape not in notes.unknown_shapes:
            coefficients[at, i] = values[:, names.index(shape)]
    pose = np.full((n, len(POSE_NAMES)), np.nan, np.float32)
    if notes.pose is not None:
        pose[at] = _read(document, data, notes.pose).reshape(len(times), len(POSE_NAMES))
    else:
        pose[at, :3] = _turns(document, data, animation, len(times))
    seen = np.zeros(n, bool)
    seen[at] = True
    return Curves(animation.name or name, coefficients, pose, seen, rate, notes.origin)


def _turns(document: _Document, data: memoryview, animation: _Animation, keys: int) -> NDArray[np.float32]:
    """(keys, 3) pitch, yaw, roll of the first rotation that has as many keys as the weights; NaN without one."""
    for channel in animation.channels:
        if channel.target.path == "rotation":
            quaternions = _read(document, data, animation.output(channel))
            if quaternions.shape == (keys, 4):
                return angles_of(Rotation.from_quat(quaternions)).astype(np.float32)
    return np.full((keys, 3), np.nan, np.float32)
