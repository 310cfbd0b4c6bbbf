"""USD as text (.usda): a rig with its 52 shapes as blend shapes, and curves as a skeletal animation on it.

Maya, Blender, Houdini and Unreal import it. A SkelRoot holds the mesh with one BlendShape per ARKit name, a skeleton of
one joint at the top of the neck, which turns with the head, and a SkelAnimation whose weights and turn have a key per
frame; frames without a face have none. Lengths are centimetres, y is up, a time code is a frame. What the format has no
place for, the translation of the head, is not written. Channels that are unknown are 0 and named in `customLayerData`.

Written by hand, since a file is a few lines around numbers; `usd-core`, 30 MB, reads what is written here in a test
where it is installed. Source: openusd.org, UsdSkel schemas.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core import __version__
from magictalk_core.errors import UserError
from magictalk_core.faces.head_pose import head_turns
from magictalk_core.rig.curves import Curves, bridged
from magictalk_core.rig.rig import PIVOT, Rig, drawn_part
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["write_usd"]

_SKEL = 'prepend apiSchemas = ["SkelBindingAPI"]'


def write_usd(curves: Curves, rig: Rig, path: Path, about: Mapping[str, str] | None = None) -> None:
    """Write one clip on `rig`; `about` goes into the layer's `customLayerData`.

    Raises `UserError` for a clip in which no face was seen: it has no key.
    """
    if not curves.seen.any():
        raise UserError(f"{path}: no frame of {curves.clip_id} shows a face: there is nothing to animate")
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for line in _lines(curves, rig, about or {}):
            file.write(line + "\n")


def _lines(curves: Curves, rig: Rig, about: Mapping[str, str]) -> Iterator[str]:
    unknown = [n for i, n in enumerate(ARKIT_NAMES) if not np.isfinite(curves.coefficients[curves.seen, i]).any()]
    said = {"generator": f"magictalk {__version__}", "clip": curves.clip_id, "origin": curves.origin, **about}
    yield "#usda 1.0"
    yield "("
    yield '    defaultPrim = "Head"'
    yield "    metersPerUnit = 0.01"
    yield '    upAxis = "Y"'
    yield f"    timeCodesPerSecond = {curves.fps:g}"
    yield f"    framesPerSecond = {curves.fps:g}"
    yield "    startTimeCode = 0"
    yield f"    endTimeCode = {len(curves) - 1}"
    yield "    customLayerData = {"
    for name, value in said.items():
        yield f"        string {name} = {_text(value)}"
    yield f"        string[] unknownShapes = {_list(map(_text, unknown))}"
    yield "    }"
    yield ")"
    yield ""
    yield f'def SkelRoot "Head" ({_SKEL})'
    yield "{"
    for part in (_mesh(drawn_part(rig)), _skeleton(curves)):
        yield from (f"    {line}" for line in part)
    yield "}"


def _mesh(rig: Rig) -> Iterator[str]:
    yield f'def Mesh "Face" ({_SKEL})'
    yield "{"
    yield '    uniform token subdivisionScheme = "none"'
    yield f"    float3[] extent = {_vectors(np.stack([rig.neutral.min(axis=0), rig.neutral.max(axis=0)]))}"
    yield f"    int[] faceVertexCounts = {_list(['3'] * len(rig.triangles))}"
    yield f"    int[] faceVertexIndices = {_list(map(str, rig.triangles.reshape(-1)))}"
    yield f"    point3f[] points = {_vectors(rig.neutral)}"
    yield f'    color3f[] primvars:displayColor = {_vectors(rig.colours)} (interpolation = "vertex")'
    for kind, name, value in (("int", "jointIndices", 0), ("float", "jointWeights", 1)):
        yield f"    {kind}[] primvars:skel:{name} = [{value}] ("
        yield "        elementSize = 1"
        yield '        interpolation = "constant"'
        yield "    )"
    yield f"    uniform token[] skel:blendShapes = {_list(map(_text, ARKIT_NAMES))}"
    yield f"    rel skel:blendShapeTargets = {_list(f'</Head/Face/{name}>' for name in ARKIT_NAMES)}"
    yield "    rel skel:skeleton = </Head/Neck>"
    for name, deltas in zip(ARKIT_NAMES, rig.deltas, strict=True):
        moved = np.flatnonzero(deltas.any(axis=1))
        yield ""
        yield f'    def BlendShape "{name}"'
        yield "    {"
        yield f"        uniform vector3f[] offsets = {_vectors(deltas[moved])}"
        yield f"        uniform int[] pointIndices = {_list(map(str, moved))}"
        yield "    }"
    yield "}"


def _skeleton(curves: Curves) -> Iterator[str]:
    at = ", ".join(f"{value:g}" for value in PIVOT)
    neck = f"[((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), ({at}, 1))]"
    yield f'def Skeleton "Neck" ({_SKEL})'
    yield "{"
    yield '    uniform token[] joints = ["head"]'
    yield f"    uniform matrix4d[] bindTransforms = {neck}"
    yield f"    uniform matrix4d[] restTransforms = {neck}"
    yield "    rel skel:animationSource = </Head/Neck/Take>"
    yield ""
    yield from (f"    {line}" for line in _animation(curves))
    yield "}"


def _animation(curves: Curves) -> Iterator[str]:
    at = np.flatnonzero(curves.seen)
    weights, pose = bridged(curves.coefficients[at], at), bridged(curves.pose[at], at)
    turns = np.asarray(head_turns(pose[:, :3]).as_quat(canonical=True), np.float32)
    yield 'def SkelAnimation "Take"'
    yield "{"
    yield f"    uniform token[] blendShapes = {_list(map(_text, ARKIT_NAMES))}"
    yield "    float[] blendShapeWeights.timeSamples = {"
    yield from (f"        {frame}: {_list(map(str, row))}," for frame, row in zip(at, weights, strict=True))
    yield "    }"
    yield '    uniform token[] joints = ["head"]'
    yield "    quatf[] rotations.timeSamples = {"
    yield from (f"        {frame}: [({w}, {x}, {y}, {z})]," for frame, (x, y, z, w) in zip(at, turns, strict=True))
    yield "    }"
    yield "    half3[] scales = [(1, 1, 1)]"
    yield f"    float3[] translations = {_vectors(PIVOT[None])}"
    yield "}"


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(values)}]"


def _vectors(values: NDArray[np.floating]) -> str:
    """(n, 3) as text that gives the same float32 back."""
    return _list(f"({x}, {y}, {z})" for x, y, z in np.asarray(values, np.float32))


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
