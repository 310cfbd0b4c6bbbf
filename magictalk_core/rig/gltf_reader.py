"""Reading curves from a glTF 2.0 file, ours or another tool's, which is not trusted.

Of several meshes and animations the one with the most ARKit shapes counts, and among equals the one that moves most of
them. Our own files come back frame by frame; of others the keys are interpolated at the times of the frames.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from magictalk_core.errors import UserError
from magictalk_core.faces.head_pose import angles_of
from magictalk_core.rig.curves import MAX_FRAMES, Curves, Findings, resampled, within_range
from magictalk_core.rig.gltf_arrays import read_array
from magictalk_core.rig.gltf_document import Animation, Document, open_gltf
from magictalk_core.rig.gltf_keys import Keys, sample_keys, sample_turns
from magictalk_core.rig.shape_names import match_shapes, named_few
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["read_gltf"]

_TANGENTS = 3
"""Values of a cubic key: tangent in, value, tangent out."""
_STILL = 1e-6


@dataclass(frozen=True, eq=False)
class _File:
    document: Document
    buffers: list[memoryview]

    def array(self, index: int) -> NDArray[np.float32]:
        return read_array(self.document, self.buffers, index)

    def keys(self, animation: Animation, sampler_index: int, width: int) -> Keys:
        """Keys of a sampler, `width` values each."""
        sampler = animation.samplers[sampler_index]
        times = self.array(sampler.input)[:, 0].astype(np.float64)
        if not len(times) or not (np.isfinite(times) & (times >= 0)).all():
            raise ValueError("expected keys from 0 s on")
        values = self.array(sampler.output)
        tangents = _TANGENTS if sampler.interpolation == "CUBICSPLINE" else 1
        if not width or values.size != width * len(times) * tangents:
            raise ValueError(f"{len(times)} keys with {values.size} values, expected {width * tangents} each")
        shape = (len(times), _TANGENTS, width) if tangents > 1 else (len(times), width)
        return Keys(times, values.reshape(shape), sampler.interpolation)


@dataclass(frozen=True, eq=False)
class _Take:
    """A channel of shape weights: of which animation, mesh and node, and where the ARKit shapes are in it."""

    animation: Animation
    sampler: int
    mesh: str
    node: int | None
    names: tuple[str, ...]
    shapes: dict[str, int]
    targets: int
    """How many shapes the mesh has: as many weights a key holds, whether all are named or not."""


def read_gltf(path: Path, fps: float | None = None) -> Curves:
    """The animation of the mesh with the most ARKit shapes in a .glb, .gltf or .vrm file.

    `fps`: rate of the curves; default the file's own note where we wrote it, else 25. Raises `UserError` for any other
    file, and where no shape has an ARKit name.
    """
    try:
        document, buffers = open_gltf(path)
        file = _File(document, buffers)
        take, left_out = _chosen(file)
        if document.is_ours:
            curves = _own_curves(file, take, path.stem)
            return curves if fps is None else resampled(curves, fps)
        return _foreign_curves(file, take, path.stem, float(fps or FRAME_RATE), left_out)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        raise UserError(f"{path}: no animation of ARKit shapes that this reads: {reason}") from error
    except IndexError as error:
        raise UserError(f"{path}: no animation of ARKit shapes that this reads: a missing part is named") from error
    except struct.error as error:
        raise UserError(f"{path}: no animation of ARKit shapes that this reads: the file is cut") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def _takes(document: Document) -> list[_Take]:
    found = []
    for animation in document.animations:
        for channel in animation.channels:
            if (moved := document.moved_mesh(channel)) is None:
                continue
            mesh, node = document.meshes[moved[0]], moved[1]
            names = document.shape_names(mesh)
            label = mesh.name or f"mesh {moved[0]}"
            targets = max((len(primitive.targets) for primitive in mesh.primitives), default=0) or len(names)
            shapes = {shape: at for shape, at in match_shapes(names).items() if at < targets}
            found.append(_Take(animation, channel.sampler, label, node, names, shapes, targets))
    return found


def _chosen(file: _File) -> tuple[_Take, list[str]]:
    """The take to read, and in words what was left out."""
    takes = _takes(file.document)
    if not takes:
        raise ValueError("no animation of shape weights")
    best = max(len(take.shapes) for take in takes)
    if not best:
        names = [name for take in takes for name in take.names]
        if not names:
            raise ValueError("no ARKit shape: the shapes of the mesh have no names (extras.targetNames): export them")
        raise ValueError(f"no ARKit shape among: {named_few(names)}: name them as ARKit does, like jawOpen")
    equals = [take for take in takes if len(take.shapes) == best]
    take = equals[0] if len(equals) == 1 else max(equals, key=lambda equal: _moving(file, equal))
    others = [
        f"{other.mesh} of animation {other.animation.name or '?'} with {len(other.shapes)} ARKit shapes"
        for other in takes
        if other is not take
    ]
    return take, [f"read: {take.mesh}; left out: {named_few(others)}"] if others else []


def _moving(file: _File, take: _Take) -> int:
    """How many of a take's ARKit shapes move."""
    weights = file.keys(take.animation, take.sampler, take.targets).plain[:, list(take.shapes.values())]
    return int((np.ptp(weights, axis=0) > _STILL).sum())


def _frames(last: float, rate: float) -> int:
    """How many frames of `rate` lie from 0 to `last`, which is in single precision."""
    slack = float(np.spacing(np.float32(last))) * rate + _STILL
    if last * rate >= MAX_FRAMES:
        raise ValueError(f"expected keys from 0 to {MAX_FRAMES / rate:.0f} s")
    return int(np.floor(last * rate + slack)) + 1


def _own_curves(file: _File, take: _Take, name: str) -> Curves:
    """A file of `write_gltf`: a key for every frame with a face, and no other."""
    notes = take.animation.notes()
    rate = float(notes.fps)
    keys = file.keys(take.animation, take.sampler, take.targets)
    at = np.round(keys.times * rate).astype(int)
    n = max(notes.frames, _frames(float(keys.times[-1]), rate), int(at[-1]) + 1)
    coefficients = np.full((n, len(ARKIT_NAMES)), np.nan, np.float32)
    for i, shape in enumerate(ARKIT_NAMES):
        if shape in take.shapes and shape not in notes.unknown_shapes:
            coefficients[at, i] = keys.plain[:, take.shapes[shape]]
    pose = np.full((n, len(POSE_NAMES)), np.nan, np.float32)
    if notes.pose is not None:
        pose[at] = file.array(notes.pose).reshape(len(at), len(POSE_NAMES))
    else:
        pose[at, :3] = _turns(file, take, keys.times)
    pose[:, [i for i, turn in enumerate(POSE_NAMES) if turn in notes.unknown_pose]] = np.nan
    seen = np.zeros(n, bool)
    seen[at] = True
    coefficients, clipped = within_range(coefficients)
    findings = Findings(rate=f"{rate:g} frames per second, as the file says", clipped=clipped)
    return Curves(take.animation.name or name, coefficients, pose, seen, rate, notes.origin, findings)


def _foreign_curves(file: _File, take: _Take, name: str, rate: float, left_out: list[str]) -> Curves:
    keys = file.keys(take.animation, take.sampler, take.targets)
    first, last = float(keys.times[0]), float(keys.times[-1])
    times = np.arange(_frames(last, rate)) / rate
    weights = sample_keys(replace(keys, values=keys.values[..., list(take.shapes.values())]), times)
    coefficients = np.full((len(times), len(ARKIT_NAMES)), np.nan, np.float32)
    coefficients[:, [ARKIT_NAMES.index(shape) for shape in take.shapes]], clipped = within_range(weights)
    pose = np.full((len(times), len(POSE_NAMES)), np.nan, np.float32)
    pose[:, :3] = _turns(file, take, times)
    remarks = list(left_out)
    if first * rate >= 0.5:
        remarks.append(f"the first key is at {first:.3f} s: its values hold before it")
    how = f"{rate:g} frames per second of {len(keys.times)} {keys.interpolation} keys from {first:.3f} to {last:.3f} s"
    seen = np.ones(len(times), bool)
    findings = Findings(how, clipped, tuple(remarks))
    return Curves(take.animation.name or name, coefficients, pose, seen, rate, "gltf/1", findings)


def _turns(file: _File, take: _Take, times: NDArray[np.float64]) -> NDArray[np.float32]:
    """(m, 3) pitch, yaw, roll of the face at `times`, NaN where they are not known.

    They are where one node, the face's own or one above it, is all that turns it: the bones of a skinned avatar have
    rests of their own, from which a turn of the head cannot be told without knowing the skeleton.
    """
    unknown = np.full((len(times), 3), np.nan, np.float32)
    if take.node is None or file.document.nodes[take.node].skin is not None:
        return unknown
    way = file.document.way_up(take.node)
    turning = {c.target.node: c.sampler for c in take.animation.channels if c.target.path == "rotation"}
    turned = [node for node in way if node in turning]
    rests = [file.document.nodes[node] for node in way if node not in turning]
    if len(turned) != 1 or any(rest.matrix is not None or np.abs(rest.rotation[:3]).max() > _STILL for rest in rests):
        return unknown
    keys = file.keys(take.animation, turning[turned[0]], width=4)
    return angles_of(sample_turns(keys, times)).astype(np.float32)
