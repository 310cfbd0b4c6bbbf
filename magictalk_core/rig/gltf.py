"""glTF 2.0 binary (.glb): a rig with its 52 shapes as named morph targets, and curves as an animation on it.

Any glTF viewer, Blender, Unity and Unreal play it. The mesh hangs on a node at the top of the neck, which turns with
the head. Frames without a face have no key: viewers interpolate over the gap. What animation channels do not carry
exactly, the pose in degrees and centimetres and which channels are unknown, lies beside them in the animation's
`extras`, so that `read_gltf` gives back what was written.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core import __version__
from magictalk_core.errors import UserError
from magictalk_core.faces.head_pose import angles_of
from magictalk_core.rig.curves import FPS, Curves
from magictalk_core.rig.rig import PIVOT, Rig
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES

__all__ = ["read_gltf", "write_gltf"]

_FLOAT, _UINT = 5126, 5125
_WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}
_MAGIC, _JSON, _BIN = 0x46546C67, 0x4E4F534A, 0x004E4942
_METRES = 0.01


@dataclass
class _Buffer:
    """The binary chunk as it grows, and the accessors into it."""

    data: bytearray = field(default_factory=bytearray)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, values: NDArray[Any], kind: str, bounds: bool = False, target: int | None = None) -> int:
        """Index of the accessor of `values`: (n,) or (n, width), float32 or uint32."""
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": values.nbytes}
        if target is not None:
            view["target"] = target
        self.views.append(view)
        self.data += np.ascontiguousarray(values).tobytes()
        component = _UINT if values.dtype == np.uint32 else _FLOAT
        count = values.size // _WIDTHS[kind]
        accessor: dict[str, Any] = {"bufferView": len(self.views) - 1, "componentType": component, "count": count}
        accessor["type"] = kind
        if bounds:
            rows = values.reshape(count, -1)
            accessor |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def _quaternions(pose: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 4) x, y, z, w of Ry(yaw) Rx(pitch) Rz(roll), neighbours on the same side so that they interpolate."""
    half = np.radians(np.nan_to_num(pose[:, :3]).astype(np.float64)) / 2
    (cp, cy, cr), (sp, sy, sr) = np.cos(half).T, np.sin(half).T
    found = np.column_stack(
        [
            cy * sp * cr + sy * cp * sr,
            sy * cp * cr - cy * sp * sr,
            cy * cp * sr - sy * sp * cr,
            cy * cp * cr + sy * sp * sr,
        ]
    )
    flips = np.cumprod(np.where((found[1:] * found[:-1]).sum(axis=1) < 0, -1.0, 1.0)) if len(found) else found[:, 0]
    found[1:] *= flips[:, None]
    return found.astype(np.float32)


def _mesh(rig: Rig, buffer: _Buffer) -> dict[str, Any]:
    positions = buffer.add(rig.neutral.astype(np.float32), "VEC3", bounds=True, target=34962)
    colours = buffer.add(rig.colours.astype(np.float32), "VEC3", target=34962)
    indices = buffer.add(rig.triangles.astype(np.uint32).reshape(-1), "SCALAR", target=34963)
    targets = [{"POSITION": buffer.add(d.astype(np.float32), "VEC3", bounds=True, target=34962)} for d in rig.deltas]
    attributes = {"POSITION": positions, "COLOR_0": colours}
    primitive = {"attributes": attributes, "indices": indices, "targets": targets, "material": 0}
    return {
        "name": rig.name,
        "primitives": [primitive],
        "weights": [0.0] * len(targets),
        "extras": {"targetNames": list(ARKIT_NAMES)},
    }


def _animation(curves: Curves, buffer: _Buffer) -> dict[str, Any]:
    at = np.flatnonzero(curves.seen)
    coefficients, pose = curves.coefficients[at], curves.pose[at]
    times = buffer.add((at / curves.fps).astype(np.float32), "SCALAR", bounds=True)
    weights = buffer.add(np.nan_to_num(coefficients).astype(np.float32).reshape(-1), "SCALAR")
    turns = buffer.add(_quaternions(pose), "VEC4")
    exact = buffer.add(np.nan_to_num(pose).astype(np.float32).reshape(-1), "SCALAR")
    unknown = [name for i, name in enumerate(ARKIT_NAMES) if not np.isfinite(coefficients[:, i]).any()]
    return {
        "name": curves.clip_id,
        "samplers": [
            {"input": times, "output": weights, "interpolation": "LINEAR"},
            {"input": times, "output": turns, "interpolation": "LINEAR"},
        ],
        "channels": [
            {"sampler": 0, "target": {"node": 1, "path": "weights"}},
            {"sampler": 1, "target": {"node": 0, "path": "rotation"}},
        ],
        "extras": {
            "fps": curves.fps,
            "frames": len(curves),
            "origin": curves.origin,
            "unknownShapes": unknown,
            "poseNames": list(POSE_NAMES),
            "pose": exact,
        },
    }


def write_gltf(curves: Curves, rig: Rig, path: Path) -> None:
    """Write one clip on `rig`. Raises `UserError` for a clip in which no face was seen: it has no key."""
    if not curves.seen.any():
        raise UserError(f"{path}: no frame of {curves.clip_id} shows a face: there is nothing to animate")
    buffer = _Buffer()
    pivot = PIVOT * _METRES
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"magictalk {__version__}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [
            {"name": "head", "children": [1], "translation": pivot.tolist()},
            {"name": "face", "mesh": 0, "translation": (-pivot).tolist(), "scale": [_METRES] * 3},
        ],
        "meshes": [_mesh(rig, buffer)],
        "materials": [{"name": "skin", "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8}}],
        "animations": [_animation(curves, buffer)],
    }
    document |= {"bufferViews": buffer.views, "accessors": buffer.accessors}
    document["buffers"] = [{"byteLength": len(buffer.data)}]
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    body = bytes(buffer.data) + b"\0" * (-len(buffer.data) % 4)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<III", _MAGIC, 2, 28 + len(text) + len(body)))
        file.write(struct.pack("<II", len(text), _JSON) + text + struct.pack("<II", len(body), _BIN) + body)


def _chunks(path: Path) -> tuple[dict[str, Any], bytes]:
    content = path.read_bytes()
    try:
        magic, version, _ = struct.unpack_from("<III", content)
        length, kind = struct.unpack_from("<II", content, 12)
        if (magic, version, kind) != (_MAGIC, 2, _JSON):
            raise ValueError("not a binary glTF 2.0 file")
        document = json.loads(content[20 : 20 + length])
        size, _ = struct.unpack_from("<II", content, 20 + length)
        return document, content[28 + length : 28 + length + size]
    except (struct.error, ValueError) as error:
        raise UserError(f"{path}: {error}") from error


def _read(document: dict[str, Any], data: bytes, index: int) -> NDArray[np.float32]:
    """(count, width) floats of an accessor; packed, as every exporter writes animations."""
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    width = _WIDTHS[accessor["type"]]
    if accessor["componentType"] != _FLOAT or "sparse" in accessor or view.get("byteStride", 4 * width) != 4 * width:
        raise ValueError(f"accessor {index} is not packed float")
    start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
    return np.frombuffer(data, "<f4", accessor["count"] * width, start).reshape(-1, width)


def read_gltf(path: Path, fps: float | None = None) -> Curves:
    """The first animation of shape weights in a .glb file whose morph targets have ARKit names.

    `fps`: rate at which keys are read; default the file's own note, else 25. Raises `UserError`.
    """
    document, data = _chunks(path)
    try:
        return _curves_of(document, data, path.stem, fps)
    except (KeyError, IndexError, ValueError, StopIteration) as error:
        raise UserError(f"{path}: no animation of ARKit shapes that this reads: {error!r}") from error


def _curves_of(document: dict[str, Any], data: bytes, name: str, fps: float | None) -> Curves:
    animation, channel = next(
        (a, c) for a in document["animations"] for c in a["channels"] if c["target"]["path"] == "weights"
    )
    mesh = document["meshes"][document["nodes"][channel["target"]["node"]]["mesh"]]
    names: list[str] = mesh["extras"]["targetNames"]
    sampler = animation["samplers"][channel["sampler"]]
    times = _read(document, data, sampler["input"])[:, 0].astype(np.float64)
    values = _read(document, data, sampler["output"]).reshape(len(times), len(names))
    extras = animation.get("extras", {})
    rate = float(fps or extras.get("fps", FPS))
    at = np.round(times * rate).astype(int)
    n = max(int(extras.get("frames", 0)), int(at.max()) + 1)
    coefficients = np.full((n, len(ARKIT_NAMES)), np.nan, np.float32)
    unknown = set(extras.get("unknownShapes", ()))
    for i, shape in enumerate(ARKIT_NAMES):
        if shape in names and shape not in unknown:
            coefficients[at, i] = values[:, names.index(shape)]
    pose = np.full((n, len(POSE_NAMES)), np.nan, np.float32)
    if "pose" in extras:
        pose[at] = _read(document, data, extras["pose"]).reshape(len(times), len(POSE_NAMES))
    else:
        pose[at, :3] = _turns(document, data, animation, len(times))
    seen = np.zeros(n, bool)
    seen[at] = True
    return Curves(animation.get("name", name), coefficients, pose, seen, rate, extras.get("origin", "gltf/1"))


def _turns(document: dict[str, Any], data: bytes, animation: dict[str, Any], keys: int) -> NDArray[np.float32]:
    """(keys, 3) pitch, yaw, roll of the first rotation that has as many keys as the weights; NaN without one."""
    for channel in animation["channels"]:
        if channel["target"]["path"] == "rotation":
            quaternions = _read(document, data, animation["samplers"][channel["sampler"]]["output"])
            if len(quaternions) == keys:
                return np.array([angles_of(_rotation(*q.tolist())) for q in quaternions], np.float32)
    return np.full((keys, 3), np.nan, np.float32)


def _rotation(x: float, y: float, z: float, w: float) -> NDArray[np.float64]:
    s = 2 / math.fsum((x * x, y * y, z * z, w * w))
    return np.array(
        [
            [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
            [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
            [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
        ]
    )
