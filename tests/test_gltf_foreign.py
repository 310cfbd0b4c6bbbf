"""Animations of other tools: the jaw that was put in comes out, or one line says why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from curve_fixtures import JAW, REST, Glb, animated, glb_jaw, jaw_error
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from magictalk_core.commands.convert import convert_file
from magictalk_core.errors import UserError
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.curve_files import read_curves
from magictalk_core.rig.curves import Curves
from magictalk_core.rig.gltf import write_gltf
from magictalk_core.rig.gltf_reader import read_gltf
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES

AT_25 = np.arange(51) / 25


def _keys(fps: float, seconds: float = 2.0) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.arange(round(seconds * fps) + 1) / fps


def _pascal(name: str) -> str:
    return name[0].upper() + name[1:]


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _sided(name: str) -> str:
    return name[:-4] + "_L" if name.endswith("Left") else name[:-5] + "_R" if name.endswith("Right") else name


@pytest.mark.parametrize(("fps", "tolerance"), [(25, 1e-6), (24, 1.1e-3), (30, 7e-4), (60, 2e-4), (30000 / 1001, 7e-4)])
def test_linear_keys_of_any_rate(tmp_path: Path, fps: float, tolerance: float) -> None:
    """The tolerance is what lines between keys of that rate lose."""
    curves = read_gltf(animated(_keys(fps)).write(tmp_path / "a.glb"))
    assert len(curves) == 51 and curves.seen.all() and jaw_error(curves, glb_jaw) <= tolerance


def test_sparse_keys_are_the_lines_between_them(tmp_path: Path) -> None:
    times = np.array([0.0, 0.5, 1.3, 2.0])
    curves = read_gltf(animated(times).write(tmp_path / "a.glb"))
    np.testing.assert_allclose(curves.coefficients[:, JAW], np.interp(AT_25, times, glb_jaw(times)), atol=1e-6)


def test_steps_hold_until_the_next_key(tmp_path: Path) -> None:
    times = np.arange(11) / 5
    curves = read_gltf(animated(times, interpolation="STEP").write(tmp_path / "a.glb"))
    np.testing.assert_allclose(curves.coefficients[:, JAW], glb_jaw(np.arange(51) // 5 / 5), atol=1e-6)


def test_cubic_splines_follow_their_tangents(tmp_path: Path) -> None:
    curves = read_gltf(animated(_keys(5), interpolation="CUBICSPLINE").write(tmp_path / "a.glb"))
    assert len(curves) == 51 and jaw_error(curves, glb_jaw) < 1e-3
    np.testing.assert_allclose(curves.coefficients[:, 0], REST, atol=1e-6)


def test_the_first_key_holds_before_it_and_that_is_said(tmp_path: Path) -> None:
    """glTF 2.0, 3.11: a sampler's output is clamped to the nearest end of its input range."""
    curves = read_gltf(animated(_keys(25) + 1).write(tmp_path / "a.glb"))
    assert len(curves) == 76 and curves.seen.all()
    np.testing.assert_allclose(curves.coefficients[:26, JAW], glb_jaw(1.0), atol=1e-6)
    np.testing.assert_allclose(curves.coefficients[25:, JAW], glb_jaw(1 + AT_25), atol=1e-5)
    assert "first key is at 1.000 s" in curves.findings.remarks[0]


def test_another_rate_can_be_asked_for(tmp_path: Path) -> None:
    path = animated(_keys(60)).write(tmp_path / "a.glb")
    (curves,) = read_curves(path, 60.0)
    assert len(curves) == 121 and curves.fps == 60 and jaw_error(curves, glb_jaw) < 1e-6


@pytest.mark.parametrize(
    "spelt",
    [
        _pascal, _snake, str.upper, _sided,
        lambda name: f"head_geo.{name}",
        lambda name: f"blendShape1.{name}",
        lambda name: f"A25_{_pascal(_snake(name))}",
        lambda name: f"{name}.001",
    ],
    ids=["pascal", "snake", "upper", "sides", "mesh", "node", "number", "copy"],
)  # fmt: skip
def test_names_as_other_tools_spell_them(tmp_path: Path, spelt: Callable[[str], str]) -> None:
    curves = read_gltf(animated(_keys(25), [spelt(name) for name in ARKIT_NAMES]).write(tmp_path / "a.glb"))
    assert np.isfinite(curves.coefficients).all() and jaw_error(curves, glb_jaw) < 1e-6


@pytest.mark.parametrize("where", ["mesh", "primitive", "arrays"])
def test_names_wherever_they_stand(tmp_path: Path, where: str) -> None:
    curves = read_gltf(animated(_keys(25), where=where).write(tmp_path / "a.glb"))
    assert np.isfinite(curves.coefficients).all() and jaw_error(curves, glb_jaw) < 1e-6


def test_fewer_names_than_shapes(tmp_path: Path) -> None:
    """Weights go by the number of shapes; those behind the last name are nobody's."""
    glb = animated(_keys(25))
    glb.document["meshes"][0]["extras"]["targetNames"] = list(ARKIT_NAMES[:20])
    curves = read_gltf(glb.write(tmp_path / "a.glb"))
    assert jaw_error(curves, glb_jaw) < 1e-6 and np.isfinite(curves.coefficients).any(axis=0).sum() == 20


def test_an_animation_that_points_at_weights(tmp_path: Path) -> None:
    glb = animated(_keys(25))
    pointer = {"extensions": {"KHR_animation_pointer": {"pointer": "/meshes/0/weights"}}, "path": "pointer"}
    glb.animation["channels"][0]["target"] = pointer
    assert jaw_error(read_gltf(glb.write(tmp_path / "a.glb")), glb_jaw) < 1e-6


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["viseme_aa", "viseme_PP", "mouthOpen"], "no ARKit shape among: viseme_aa, viseme_PP, mouthOpen"),
        ([], "no ARKit shape"),
        (["a.jawOpen", "b.jawOpen"], r"a\.jawOpen and b\.jawOpen both mean jawOpen"),
    ],
)
def test_shapes_that_are_not_arkit_are_named(tmp_path: Path, names: list[str], message: str) -> None:
    glb = Glb()
    node = glb.mesh(names or ["x", "y"], where="mesh" if names else "nowhere")
    glb.keys([0, 1], glb.array(np.zeros(2 * (len(names) or 2))), {"node": node, "path": "weights"})
    with pytest.raises(UserError, match=message) as failure:
        convert_file(glb.write(tmp_path / "a.glb"), tmp_path / "o.csv", form=None, clip=None, smooth=None, fps=None)
    assert "\n" not in str(failure.value) and not (tmp_path / "o.csv").exists()


def test_shapes_that_are_missing_are_unknown_and_said(tmp_path: Path) -> None:
    path = animated(_keys(25), ARKIT_NAMES[14:34]).write(tmp_path / "a.glb")
    made = convert_file(path, tmp_path / "o.parquet", form=None, clip=None, smooth=None, fps=None)
    assert made.shapes.startswith("20 of 52; unknown: eyeBlinkLeft") and "tongueOut" in made.shapes
    (back,) = read_curves(tmp_path / "o.parquet", None)
    assert np.isfinite(back.coefficients).any(axis=0).sum() == 20 and jaw_error(back, glb_jaw) < 1e-6


@pytest.mark.parametrize("teeth", [["mouthOpen", "mouthSmile"], ["jawOpen"], list(ARKIT_NAMES)])
def test_of_several_meshes_the_one_with_most_arkit_shapes_counts(tmp_path: Path, teeth: list[str]) -> None:
    """Teeth that have all names too, as Ready Player Me makes them, but do not move."""
    glb = Glb()
    node = glb.mesh(teeth, "Teeth")
    glb.keys([0, 2], glb.array(np.full(2 * len(teeth), 0.7)), {"node": node, "path": "weights"})
    head = glb.mesh(ARKIT_NAMES)
    values = np.full((51, 52), REST)
    values[:, JAW] = glb_jaw(AT_25)
    glb.keys(AT_25, glb.array(values.reshape(-1)), {"node": head, "path": "weights"})
    curves = read_gltf(glb.write(tmp_path / "a.glb"))
    assert jaw_error(curves, glb_jaw) < 1e-6
    assert "read: Head; left out: Teeth" in curves.findings.remarks[0]


@pytest.mark.parametrize(("form", "tolerance"), [("u1", 2e-3), ("u2", 1e-5), ("i1", 4e-3), ("i2", 2e-5)])
def test_weights_in_normalized_integers(tmp_path: Path, form: str, tolerance: float) -> None:
    curves = read_gltf(animated(_keys(25), form=form).write(tmp_path / "a.glb"))
    assert jaw_error(curves, glb_jaw) <= tolerance and curves.findings.clipped == 0


def test_integers_that_are_not_normalized_are_told(tmp_path: Path) -> None:
    glb = animated(_keys(25), form="u1")
    for accessor in glb.document["accessors"]:
        accessor.pop("normalized", None)
    with pytest.raises(UserError, match="not normalized"):
        read_gltf(glb.write(tmp_path / "a.glb"))


def test_interleaved_and_sparse_arrays(tmp_path: Path) -> None:
    glb = animated(_keys(25))
    sampler = glb.animation["samplers"][0]
    sampler["input"] = glb.array(_keys(25), stride=12)
    values = np.full((51, 52), REST)
    values[:, JAW] = glb_jaw(AT_25)
    filled = np.flatnonzero(values.reshape(-1) != REST)
    base = glb.array(np.full(values.size, REST))
    glb.document["accessors"][base]["sparse"] = {
        "count": len(filled),
        "indices": {"bufferView": glb.view(filled.astype("<u2")), "componentType": 5123},
        "values": {"bufferView": glb.view(values.reshape(-1)[filled].astype("<f4"))},
    }
    sampler["output"] = base
    curves = read_gltf(glb.write(tmp_path / "a.glb"))
    assert jaw_error(curves, glb_jaw) < 1e-6 and curves.coefficients[7, 3] == pytest.approx(REST)


@pytest.mark.parametrize("name", ["a.GLB", "a.vrm", "a.gltf", "a.glb"])
def test_suffixes_and_text(tmp_path: Path, name: str) -> None:
    path = animated(_keys(25)).write(tmp_path / name, text=name.endswith(".gltf"))
    (curves,) = read_curves(path, None)
    assert jaw_error(curves, glb_jaw) < 1e-6
    made = convert_file(path, tmp_path / "O.CSV", form="livelink", clip=None, smooth=None, fps=None)
    (back,) = read_curves(tmp_path / "O.CSV", None)
    assert (made.format, made.frames) == ("livelink", 51) and jaw_error(back, glb_jaw) < 1e-6


def test_a_text_file_with_its_bytes_beside_it(tmp_path: Path) -> None:
    curves = read_gltf(animated(_keys(25)).write(tmp_path / "a.gltf", beside="its%20bytes.bin"))
    assert jaw_error(curves, glb_jaw) < 1e-6


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("../secret.bin", "outside of this folder"),
        ("/etc/passwd", "outside of this folder"),
        ("file:///etc/passwd", "outside of this folder"),
        ("link.bin", "outside of this folder"),
        ("none.bin", "not beside"),
        ("data:application/octet-stream;base64,####", "damaged data URI"),
        ("data:,plain", "without base64"),
    ],
)
def test_bytes_are_taken_from_the_files_folder_only(tmp_path: Path, uri: str, message: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(1 << 16))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = animated(_keys(25)).write(folder / "a.gltf", beside="its.bin")
    path.write_text(path.read_text().replace("its.bin", uri))
    with pytest.raises(UserError, match=message):
        read_gltf(path)


@pytest.mark.parametrize(("scale", "shift", "clipped"), [(1.3, 0.0, 15), (1.0, -0.2, 51 * 51 + 16)])
def test_values_outside_are_clipped_and_counted(tmp_path: Path, scale: float, shift: float, clipped: int) -> None:
    glb = animated(_keys(25))
    values = np.full((51, 52), REST)
    values[:, JAW] = glb_jaw(AT_25)
    values = values * scale + shift
    glb.animation["samplers"][0]["output"] = glb.array(values.reshape(-1))
    path = glb.write(tmp_path / "a.glb")
    made = convert_file(path, tmp_path / "o.parquet", form=None, clip=None, smooth=None, fps=None)
    assert made.clipped == int(((values < 0) | (values > 1)).sum()) == clipped
    (back,) = read_curves(tmp_path / "o.parquet", None)
    np.testing.assert_allclose(back.coefficients, np.clip(values, 0, 1), atol=1e-6)


def test_values_in_per_cent_are_refused(tmp_path: Path) -> None:
    glb = animated(_keys(25))
    glb.animation["samplers"][0]["output"] = glb.array(np.linspace(0, 90, 51 * 52))
    with pytest.raises(UserError, match="values up to 90: expected 0 to 1"):
        read_gltf(glb.write(tmp_path / "a.glb"))


def test_a_node_that_turns_the_face_gives_its_pose_and_a_skeleton_none(tmp_path: Path) -> None:
    turns = Rotation.from_euler("YXZ", [[0, 0, 0], [40, 0, 0]], degrees=True).as_quat()
    glb = animated(_keys(25))
    glb.document["nodes"].append({"name": "neck", "children": [0]})
    glb.keys([0, 2], glb.array(turns, "VEC4"), {"node": 1, "path": "rotation"})
    curves = read_gltf(glb.write(tmp_path / "a.glb"))
    yaw = POSE_NAMES.index("head_yaw_deg")
    np.testing.assert_allclose(curves.pose[:, yaw], 20 * AT_25, atol=1e-3)
    assert np.isnan(curves.pose[:, 3:]).all()
    glb.document["nodes"][0]["skin"] = 0
    assert np.isnan(read_gltf(glb.write(tmp_path / "b.glb")).pose).all()


def test_a_file_of_ours_that_another_tool_saved_is_read_by_its_keys(tmp_path: Path) -> None:
    """Our notes in it speak of arrays that are no longer there."""
    glb = animated(_keys(60))
    glb.animation["extras"] = {
        "fps": 50.0,
        "frames": 9,
        "origin": "mediapipe/3",
        "pose": 4,
        "unknownShapes": ["jawOpen"],
    }
    curves = read_gltf(glb.write(tmp_path / "a.glb"))
    assert (len(curves), curves.fps, curves.origin) == (51, 25.0, "gltf/1") and jaw_error(curves, glb_jaw) < 2e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["animations"][0]["samplers"][0].update(interpolation="CUBIC"), "interpolation CUBIC"),
        (lambda d: d["bufferViews"][-1].update(extensions={"EXT_meshopt_compression": {}}), "EXT_meshopt_compression"),
        (lambda d: d["animations"].clear(), "no animation of shape weights"),
        (lambda d: d["accessors"][-1].update(count=50), "keys with"),
        (lambda d: d["accessors"][-1].update(type="MAT4"), "MAT4"),
    ],
)
def test_what_is_not_read_is_one_line(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    glb = animated(_keys(25))
    change(glb.document)
    with pytest.raises(UserError, match=message) as failure:
        read_gltf(glb.write(tmp_path / "a.glb"))
    assert "\n" not in str(failure.value)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    fps=st.sampled_from([24.0, 25.0, 30.0, 50.0, 60.0, 60000 / 1001, 120.0]),
    n=st.integers(1, 40),
    lost=st.sets(st.integers(0, 39), max_size=12),
)
def test_round_trip_at_any_rate(
    tmp_path_factory: pytest.TempPathFactory, seed: int, fps: float, n: int, lost: set[int]
) -> None:
    rng = np.random.default_rng(seed)
    seen = np.array([i not in lost for i in range(n)])
    seen[rng.integers(n)] = True
    coefficients = rng.uniform(0, 1, (n, 52)).astype(np.float32)
    pose = rng.uniform(-50, 50, (n, 6)).astype(np.float32)
    coefficients[:, rng.integers(52)] = np.nan
    pose[:, 3 if seed % 2 else slice(None)] = np.nan
    coefficients[~seen], pose[~seen] = np.nan, np.nan
    path = tmp_path_factory.mktemp("g") / "a.glb"
    write_gltf(Curves("c/s/a", coefficients, pose, seen, fps, "t/1"), builtin_rig(), path)
    back = read_gltf(path)
    assert back.fps == fps and np.array_equal(back.seen, seen)
    np.testing.assert_array_equal(back.coefficients, coefficients)
    np.testing.assert_allclose(back.pose, pose, atol=1e-6)
