"""USD text: every number of it comes back, by plain parsing, and by USD's own library where it is installed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from magictalk_core.errors import UserError
from magictalk_core.faces.head_pose import head_turns
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.curves import Curves
from magictalk_core.rig.rig import drawn_part
from magictalk_core.rig.usd import write_usd
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

LOST = 3
"""A frame without a face."""


def _curves(n: int = 8) -> Curves:
    rng = np.random.default_rng(0)
    coefficients = rng.uniform(0, 1, (n, 52)).astype(np.float32)
    coefficients[:, ARKIT_NAMES.index("tongueOut")] = np.nan
    pose = rng.uniform(-40, 40, (n, 6)).astype(np.float32)
    seen = np.ones(n, bool)
    seen[LOST] = False
    coefficients[~seen], pose[~seen] = np.nan, np.nan
    return Curves('a "take"', coefficients, pose, seen, 25.0, "synthetic/magictalk")


def _numbers(text: str) -> np.ndarray:
    return np.array(re.findall(r"-?[\d.]+(?:e-?\d+)?", text), np.float32)


def _line(text: str, begins: str) -> str:
    (found,) = [line for line in text.splitlines() if line.strip().startswith(begins)]
    return found.split(" = ", 1)[1]


def _samples(text: str, name: str) -> dict[int, np.ndarray]:
    block = text.split(f"{name}.timeSamples = {{")[1].split("}")[0]
    return {int(line.split(":")[0]): _numbers(line.split(":")[1]) for line in block.strip().splitlines()}


def test_every_number_comes_back(tmp_path: Path) -> None:
    curves, rig = _curves(), drawn_part(builtin_rig())
    write_usd(curves, rig, tmp_path / "take.usda", {"title": "SYNTHETIC\nMEDIA"})
    text = (tmp_path / "take.usda").read_text(encoding="utf-8")
    assert text.startswith("#usda 1.0\n") and "endTimeCode = 7" in text and "timeCodesPerSecond = 25" in text
    np.testing.assert_array_equal(_numbers(_line(text, "point3f[] points")).reshape(-1, 3), rig.neutral)
    np.testing.assert_array_equal(_numbers(_line(text, "int[] faceVertexIndices")), rig.triangles.reshape(-1))
    weights, turns = _samples(text, "blendShapeWeights"), _samples(text, "rotations")
    assert sorted(weights) == sorted(turns) == [i for i in range(8) if i != LOST]
    for i, row in weights.items():
        np.testing.assert_array_equal(row, np.nan_to_num(curves.coefficients[i]))
        w, *xyz = turns[i]
        wanted = head_turns(curves.pose[i, :3]).as_quat(canonical=True)
        np.testing.assert_allclose([*xyz, w], wanted, atol=1e-6)
    assert json.loads(_line(text, "string title")) == "SYNTHETIC\nMEDIA"
    assert json.loads(_line(text, "string clip")) == 'a "take"'
    assert json.loads(_line(text, "string[] unknownShapes")) == ["tongueOut"]


def test_nothing_to_animate_is_said(tmp_path: Path) -> None:
    curves = _curves()
    curves.seen[:] = False
    with pytest.raises(UserError, match="nothing to animate"):
        write_usd(curves, builtin_rig(), tmp_path / "take.usda")
    assert not (tmp_path / "take.usda").exists()


def test_the_library_of_usd_reads_it(tmp_path: Path) -> None:
    usd = pytest.importorskip("pxr.Usd", reason="pip install usd-core")
    from pxr import UsdGeom, UsdSkel, UsdValidation

    curves, rig = _curves(), drawn_part(builtin_rig())
    write_usd(curves, rig, tmp_path / "take.usda", {"title": "SYNTHETIC"})
    stage = usd.Stage.Open(str(tmp_path / "take.usda"))
    every = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert not UsdValidation.ValidationContext(every).Validate(stage)
    assert stage.GetRootLayer().customLayerData["title"] == "SYNTHETIC"
    cache, root = UsdSkel.Cache(), UsdSkel.Root(stage.GetDefaultPrim())
    cache.Populate(root, usd.PrimDefaultPredicate)
    (binding,) = cache.ComputeSkelBindings(root, usd.PrimDefaultPredicate)
    query = cache.GetSkelQuery(binding.GetSkeleton())
    assert list(query.GetAnimQuery().GetBlendShapeOrder()) == list(ARKIT_NAMES)
    assert UsdSkel.BakeSkinning(root)
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/Head/Face"))
    for i in (0, 5):
        # A mesh on one joint is not skinned point by point: its transform turns.
        points = np.array(mesh.GetPointsAttr().Get(i))
        placed = np.c_[points, np.ones(len(points))] @ np.array(mesh.ComputeLocalToWorldTransform(i))
        row = np.concatenate([curves.coefficients[i], curves.pose[i]])
        np.testing.assert_allclose(placed[:, :3], rig.pose(row), atol=1e-5)
