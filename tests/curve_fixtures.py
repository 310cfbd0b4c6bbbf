"""Files of curves as other tools write them: animated glTF of one triangle, Live Link Face recordings, tables.

The jaw of a glTF file is `glb_jaw`, that of a recording and of a table `take_jaw`; every other shape is 0.1.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from magictalk_core.rig.curves import Curves
from magictalk_core.rig.live_link import LIVE_LINK_HEADER
from magictalk_core.rig.shape_names import match_shapes
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

JAW = ARKIT_NAMES.index("jawOpen")
REST = 0.1
_COMPONENTS = {"f4": 5126, "u1": 5121, "u2": 5123, "i1": 5120, "i2": 5122, "u4": 5125}


def glb_jaw(t: ArrayLike) -> NDArray[np.float64]:
    """Opens and closes once in two seconds."""
    return 0.5 - 0.5 * np.cos(np.pi * np.asarray(t, np.float64))


def glb_jaw_speed(t: ArrayLike) -> NDArray[np.float64]:
    """Its derivative, per second."""
    return 0.5 * np.pi * np.sin(np.pi * np.asarray(t, np.float64))


def take_jaw(t: ArrayLike) -> NDArray[np.float64]:
    """Opens and closes twice a second."""
    return 0.5 + 0.4 * np.sin(4 * np.pi * np.asarray(t, np.float64))


def jaw_error(curves: Curves, jaw: Callable[[ArrayLike], NDArray[np.float64]]) -> float:
    """Largest distance from the right value in frames with a face, where one was ever expected."""
    times = np.flatnonzero(curves.seen) / curves.fps
    return float(np.abs(curves.coefficients[curves.seen, JAW] - jaw(times)).max())


def _weights(times: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    values = np.full((len(times), len(names)), REST)
    if (at := match_shapes(names).get("jawOpen")) is not None:
        values[:, at] = glb_jaw(times)
    return values


@dataclass
class Glb:
    """A file as it grows."""

    document: dict[str, Any] = field(default_factory=lambda: {"asset": {"version": "2.0", "generator": "other tool"}})
    data: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        for name in ("bufferViews", "accessors", "meshes", "nodes"):
            self.document[name] = []
        self.document["animations"] = [{"name": "Take", "channels": [], "samplers": []}]

    @property
    def animation(self) -> dict[str, Any]:
        """The first animation."""
        found: dict[str, Any] = self.document["animations"][0]
        return found

    def view(self, values: NDArray[Any], stride: int | None = None) -> int:
        """Index of a buffer view of `values`, rows `stride` bytes apart."""
        self.data += b"\0" * (-len(self.data) % 4)
        rows = values.reshape(len(values), -1)
        raw = rows.tobytes()
        if stride is not None:
            raw = b"".join(row.tobytes().ljust(stride, b"\x7f") for row in rows)
        self.document["bufferViews"].append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(raw)})
        if stride is not None:
            self.document["bufferViews"][-1]["byteStride"] = stride
        self.data += raw
        return len(self.document["bufferViews"]) - 1

    def array(self, values: ArrayLike, kind: str = "SCALAR", form: str = "f4", **more: Any) -> int:
        """Index of an accessor of `values` (n,) or (n, width), as normalized integers where `form` says so."""
        found = np.asarray(values, np.float64)
        raw = found.astype("<f4")
        if form != "f4":
            raw = np.round(found * np.iinfo(form).max).astype(f"<{form}")
        accessor: dict[str, Any] = {
            "bufferView": self.view(raw, more.pop("stride", None)),
            "componentType": _COMPONENTS[form],
        }
        accessor |= {"count": len(raw), "type": kind, **more}
        if form != "f4":
            accessor["normalized"] = True
        self.document["accessors"].append(accessor)
        return len(self.document["accessors"]) - 1

    def mesh(self, names: Sequence[str], label: str = "Head", where: str = "mesh", node: bool = True) -> int:
        """Index of a node with a mesh whose shapes are named in the extras of the mesh, its primitive, or arrays."""
        position = self.array(np.eye(3), "VEC3")
        targets = [{"POSITION": position} for _ in names]
        if where == "arrays":
            targets = [{"POSITION": self.array(np.eye(3), "VEC3", name=name)} for name in names]
        primitive: dict[str, Any] = {"attributes": {"POSITION": position}, "targets": targets}
        mesh: dict[str, Any] = {"name": label, "primitives": [primitive], "extras": "anything"}
        if where in ("mesh", "primitive"):
            {"mesh": mesh, "primitive": primitive}[where]["extras"] = {"targetNames": list(names)}
        self.document["meshes"].append(mesh)
        self.document["nodes"].append({"name": label, "mesh": len(self.document["meshes"]) - 1})
        return len(self.document["nodes"]) - 1

    def keys(self, times: ArrayLike, output: int, target: dict[str, Any], interpolation: str | None = None) -> None:
        """A channel of the first animation."""
        sampler: dict[str, Any] = {"input": self.array(times), "output": output}
        if interpolation is not None:
            sampler["interpolation"] = interpolation
        self.animation["samplers"].append(sampler)
        self.animation["channels"].append({"sampler": len(self.animation["samplers"]) - 1, "target": target})

    def write(self, path: Path, beside: str | None = None, text: bool = False) -> Path:
        """As a binary file, or as text with a data URI or the bytes in a file `beside`."""
        body = bytes(self.data) + b"\0" * (-len(self.data) % 4)
        buffer: dict[str, Any] = {"byteLength": len(body)}
        if beside is not None:
            buffer["uri"] = beside
            (path.parent / beside.replace("%20", " ")).write_bytes(body)
        elif text:
            buffer["uri"] = "data:application/octet-stream;base64," + base64.b64encode(body).decode()
        document = json.dumps(self.document | {"buffers": [buffer]}).encode()
        if beside is not None or text:
            path.write_bytes(document)
            return path
        document += b" " * (-len(document) % 4)
        chunks = (
            struct.pack("<II", len(document), 0x4E4F534A) + document + struct.pack("<II", len(body), 0x004E4942) + body
        )
        path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
        return path


def animated(
    times: ArrayLike, names: Sequence[str] = ARKIT_NAMES, interpolation: str = "LINEAR", form: str = "f4", **mesh: Any
) -> Glb:
    """A mesh with shapes whose jaw is `glb_jaw`, with keys at `times`."""
    glb, at = Glb(), np.asarray(times, np.float64)
    node = glb.mesh(names, **mesh)
    values = _weights(at, names)
    if interpolation == "CUBICSPLINE":
        slopes = np.zeros_like(values)
        slopes[:, match_shapes(names)["jawOpen"]] = glb_jaw_speed(at)
        values = np.stack([slopes, values, slopes], axis=1)
    output = glb.array(values.reshape(-1), form=form)
    glb.keys(at, output, {"node": node, "path": "weights"}, interpolation)
    return glb


def label_whole(t: float, rate: int, start: float = 36000.0) -> str:
    """HH:MM:SS:FF.000 of whole frames of `rate`."""
    frame = int((t + start) * rate + 1e-6)
    return f"{_clock(frame // rate)}:{frame % rate:02d}.000"


def label_exact(t: float, rate: int, start: float = 36000.0, sign: str = ":") -> str:
    """HH:MM:SS:FF.mmm with the fraction of a frame."""
    t += start
    whole = int(t + 1e-9)
    return f"{_clock(whole)}{sign}{max((t - whole) * rate, 0):06.3f}"


def label_milliseconds(t: float, sign: str = ".") -> str:
    """HH:MM:SS.mmm."""
    return f"{_clock(36000 + int(t + 1e-9))}{sign}{int(t % 1 * 1000 + 1e-6):03d}"


def _clock(seconds: int) -> str:
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def take_row(label: str, t: float) -> list[str]:
    """A row of a recording at `t`: jaw, other shapes, 0.01 radians."""
    values = [f"{take_jaw(t):.6f}" if name == "JawOpen" else f"{REST:.6f}" for name in LIVE_LINK_HEADER[2:54]]
    return [label, "61", *values, *["0.01"] * 9]


def write_take(
    path: Path,
    rows: Sequence[Sequence[str]],
    header: Sequence[str] = LIVE_LINK_HEADER,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> Path:
    """A text table."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))
    return path
