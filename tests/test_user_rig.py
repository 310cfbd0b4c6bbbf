"""Rigs that users bring: what is read of each form, and what is said of files that are none."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from magictalk_core.commands.show_rig import rig_from, show_rig
from magictalk_core.errors import UserError
from magictalk_core.faces.mesh import LANDMARKS
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.curves import Curves
from magictalk_core.rig.gltf import write_gltf
from magictalk_core.rig.obj_mesh import read_obj
from magictalk_core.rig.part_colours import IRIS_COLOUR, part_look
from magictalk_core.rig.rig import Rig, drawn_part, save_rig
from magictalk_core.rig.user_rig import read_rig
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, mirror_name
from pipelines.cli import app

KEPT = ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen", "mouthSmileLeft", "mouthSmileRight", "browInnerUp", "mouthPucker")


def landmark_rig() -> Rig:
    """The built-in rig's face alone: small, and any placing error shows."""
    from magictalk_core.faces.mesh import TRIANGLES

    own = builtin_rig()
    first = slice(0, LANDMARKS)
    return Rig(
        "small",
        own.neutral[first],
        TRIANGLES.astype(np.int32),
        own.deltas[:, first],
        own.colours[first],
        own.gloss[first],
    )


def obj_text(vertices: NDArray[np.floating], triangles: NDArray[np.integer] | None = None) -> bytes:
    lines = [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in vertices]
    lines += [f"f {a + 1}/1 {b + 1}/2/3 {c + 1}//4" for a, b, c in ([] if triangles is None else triangles)]
    return "\n".join(lines).encode()


def write_folder(
    folder: Path,
    rig: Rig,
    names: dict[str, str],
    change: Callable[[NDArray[np.floating]], NDArray[np.floating]] = lambda vertices: vertices,
) -> Path:
    """OBJ files of a rig: file name -> ARKit shape; all vertices go through `change`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "Neutral.obj").write_bytes(obj_text(change(rig.neutral), rig.triangles))
    for file, shape in names.items():
        moved = rig.neutral + rig.deltas[ARKIT_NAMES.index(shape)]
        (folder / f"{file}.obj").write_bytes(obj_text(change(moved), rig.triangles))
    return folder


def plain_names() -> dict[str, str]:
    return {shape: shape for shape in KEPT}


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, f"head/{file.name}")
        archive.writestr("__MACOSX/head/._Neutral.obj", b"\0\1")
    return target


def test_a_folder_in_metres_is_placed_before_the_camera(tmp_path: Path) -> None:
    rig = landmark_rig()
    folder = write_folder(tmp_path / "head", rig, plain_names(), lambda v: v * 0.01 + [3, 1.6, -2])
    read = read_rig(folder)
    np.testing.assert_allclose(read.rig.neutral, rig.neutral, atol=0.01)
    for shape in KEPT:
        at = ARKIT_NAMES.index(shape)
        np.testing.assert_allclose(read.rig.deltas[at], rig.deltas[at], atol=0.01)
    assert set(read.missing) == set(ARKIT_NAMES) - set(KEPT)
    assert any("1 unit of the file is 100 cm" in remark for remark in read.remarks)
    again = read_rig(zipped(folder, tmp_path / "head.zip"))
    np.testing.assert_array_equal(again.rig.deltas, read.rig.deltas)


def test_a_head_with_z_up_is_turned(tmp_path: Path) -> None:
    rig = landmark_rig()
    folder = write_folder(tmp_path / "head", rig, plain_names(), lambda v: v[:, [0, 2, 1]] * [1, -1, 1])
    read = read_rig(folder)
    np.testing.assert_allclose(read.rig.neutral, rig.neutral, atol=0.01)
    assert any("turned to face the camera" in remark for remark in read.remarks)


def test_sides_that_are_the_viewers_are_swapped(tmp_path: Path) -> None:
    rig = landmark_rig()
    folder = write_folder(tmp_path / "head", rig, {mirror_name(shape): shape for shape in KEPT})
    read = read_rig(folder)
    left = ARKIT_NAMES.index("eyeBlinkLeft")
    np.testing.assert_allclose(read.rig.deltas[left], rig.deltas[left], atol=0.02)
    assert any("viewer's" in remark for remark in read.remarks)


def test_names_of_other_tools_and_halves(tmp_path: Path) -> None:
    rig = landmark_rig()
    names = {"EyeBlink_L": "eyeBlinkLeft", "eye_blink_r": "eyeBlinkRight", "A25_Jaw_Open": "jawOpen",
             "mouthSmile_L": "mouthSmileLeft", "mouthSmile_R": "mouthSmileRight", "MouthPucker": "mouthPucker",
             "browInnerUp_L": "browInnerUp", "browInnerUp_R": "browInnerUp"}  # fmt: skip
    read = read_rig(write_folder(tmp_path / "head", rig, names))
    assert set(ARKIT_NAMES) - set(read.missing) == set(KEPT)
    at = ARKIT_NAMES.index("browInnerUp")
    np.testing.assert_allclose(read.rig.deltas[at], 2 * rig.deltas[at], atol=0.02)


def test_a_gltf_file_of_ours_comes_back_as_a_rig(tmp_path: Path) -> None:
    rig = drawn_part(builtin_rig())
    curves = Curves("a", np.zeros((2, 52), np.float32), np.zeros((2, 6), np.float32), np.ones(2, bool), 25.0, "t/1")
    write_gltf(curves, builtin_rig(), tmp_path / "head.glb")
    read = read_rig(tmp_path / "head.glb")
    assert not read.missing and len(read.rig.triangles) == len(rig.triangles)
    np.testing.assert_allclose(read.rig.colours, rig.colours, atol=1e-6)
    # It is placed by the landmarks' shapes, from which the drawn ones differ a little.
    size = np.ptp(read.rig.neutral, axis=0) / np.ptp(rig.neutral, axis=0)
    np.testing.assert_allclose(size, size[0], rtol=1e-4)
    assert 0.9 < size[0] < 1.1


def glb(document: dict[str, object], body: bytes) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body += b"\0" * (-len(body) % 4)
    head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(body), len(text), 0x4E4F534A)
    return head + text + struct.pack("<II", len(body), 0x004E4942) + body


def small_gltf(**change: object) -> bytes:
    """A triangle with one shape, on a node that is moved and scaled; `change` replaces parts of the document."""
    places = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    move = np.array([[0, -0.5, 0], [0, 0, 0], [0, 0, 0]], np.float32)
    corners = np.array([0, 1, 2], np.uint16)
    body = places.tobytes() + move.tobytes() + corners.tobytes()
    document: dict[str, object] = {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": len(body)}],
        "bufferViews": [{"buffer": 0, "byteOffset": o, "byteLength": n} for o, n in ((0, 36), (36, 36), (72, 6))],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 2, "componentType": 5123, "count": 3, "type": "SCALAR"},
        ],
        "nodes": [{"mesh": 0, "scale": [2, 2, 2], "translation": [0, 9, 0]}],
        "meshes": [
            {
                "name": "Teeth",
                "extras": {"targetNames": ["jawOpen"]},
                "primitives": [{"attributes": {"POSITION": 0}, "indices": 2, "targets": [{"POSITION": 1}]}],
            }
        ],
    }
    return glb(document | change, body)


def test_a_gltf_file_with_one_shape_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(small_gltf())
    read = read_rig(tmp_path / "a.glb")
    assert len(read.missing) == 51 and "jawOpen" not in read.missing
    assert any("too few shapes" in remark for remark in read.remarks)
    np.testing.assert_allclose(read.rig.colours[0], part_look("teeth").colour, atol=1e-6)
    # The whole triangle is the head: 24 cm high, and the shape half of that.
    assert np.ptp(read.rig.neutral[:, 1]) == pytest.approx(24, rel=1e-4)
    assert read.rig.deltas[ARKIT_NAMES.index("jawOpen"), 0, 1] == pytest.approx(-12, rel=1e-4)


def test_eyes_get_an_iris_that_looks_ahead(tmp_path: Path) -> None:
    assert part_look("M_EyeOcclusion").hidden and part_look("Wolf3D_Eyes").eyeball and not part_look("face").hidden
    (tmp_path / "n.obj").write_bytes(b"usemtl eyeball\n" + obj_text(np.eye(3), np.array([[0, 1, 2]])))
    assert read_obj((tmp_path / "n.obj").read_bytes()).materials == ("eyeball",)
    assert IRIS_COLOUR != part_look("eyeball").colour


BAD_OBJ = {
    "no vertex": b"f 1 2 3\n",
    "no polygon": b"v 0 0 0\nv 1 0 0\nv 0 1 0\n",
    "not finite": b"v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "names vertex 4 of 3": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n",
    "names vertex 0 of 3": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n",
    "polygon of 2 corners": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2\n",
    "is no number": b"v a 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "expected three": b"v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n",
}


@pytest.mark.parametrize("message", BAD_OBJ)
def test_a_bad_neutral_head_is_named(tmp_path: Path, message: str) -> None:
    write_folder(tmp_path / "head", landmark_rig(), plain_names())
    (tmp_path / "head" / "Neutral.obj").write_bytes(BAD_OBJ[message])
    with pytest.raises(UserError, match=rf"head: Neutral\.obj: .*{message}"):
        read_rig(tmp_path / "head")


def test_other_vertex_counts_and_missing_heads_are_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "head", landmark_rig(), plain_names())
    (folder / "jawOpen.obj").write_bytes(obj_text(np.eye(3), np.array([[0, 1, 2]])))
    with pytest.raises(UserError, match=r"jawOpen\.obj has 3 vertices, Neutral\.obj 468: .*export all shapes"):
        read_rig(folder)
    (folder / "Neutral.obj").unlink()
    with pytest.raises(UserError, match=r"no neutral head among: .*name it neutral\.obj"):
        read_rig(folder)
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(UserError, match=r"no \.obj file in it"):
        read_rig(folder)
    (folder / "neutral.obj").write_bytes(obj_text(np.eye(3), np.array([[0, 1, 2]])))
    (folder / "viseme_aa.obj").write_bytes(obj_text(np.eye(3), np.array([[0, 1, 2]])))
    with pytest.raises(UserError, match=r"no ARKit shape among: neutral, viseme_aa: .*like jawOpen\.obj"):
        read_rig(folder)
    with pytest.raises(UserError, match="no such rig"):
        read_rig(tmp_path / "none.glb")
    (tmp_path / "a.fbx").write_bytes(b"Kaydara FBX")
    with pytest.raises(UserError, match="no form of a rig"):
        read_rig(tmp_path / "a.fbx")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "head", landmark_rig(), plain_names())
    outside = tmp_path / "jaw.obj"
    (folder / "jawOpen.obj").rename(outside)
    (folder / "jawOpen.obj").symlink_to(outside)
    assert "jawOpen" in read_rig(folder).missing


def test_zips_that_unpack_to_much_or_to_two_heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "head", landmark_rig(), plain_names())
    path = zipped(folder, tmp_path / "head.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/jawOpen.obj", b"v 0 0 0")
    with pytest.raises(UserError, match="two OBJ files of one name"):
        read_rig(path)
    monkeypatch.setattr("magictalk_core.rig.shape_folder.MAX_ALL_BYTES", 1000)
    with pytest.raises(UserError, match="unpack to more than"):
        read_rig(zipped(folder, tmp_path / "large.zip"))
    (tmp_path / "no.zip").write_bytes(b"PK\3\4 and nothing")
    with pytest.raises(UserError, match="no zip that this reads"):
        read_rig(tmp_path / "no.zip")


BAD_GLTF = {
    "name vertices which it has not": {"accessors": [
        {"bufferView": 0, "componentType": 5126, "count": 2, "type": "VEC3"},
        {"bufferView": 1, "componentType": 5126, "count": 2, "type": "VEC3"},
        {"bufferView": 2, "componentType": 5123, "count": 3, "type": "SCALAR"}]},
    "moves 2 vertices of 3": {"accessors": [
        {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
        {"bufferView": 1, "componentType": 5126, "count": 2, "type": "VEC3"},
        {"bufferView": 2, "componentType": 5123, "count": 3, "type": "SCALAR"}]},
    "ends behind the file": {"accessors": [{"bufferView": 0, "componentType": 5126, "count": 900, "type": "VEC3"}] * 3},
    "no mesh of triangles": {"meshes": [], "nodes": []},
    "not in it": {"accessors": []},
    "no ARKit shape among: viseme_aa": {"meshes": [{"extras": {"targetNames": ["viseme_aa"]}, "primitives": [
        {"attributes": {"POSITION": 0}, "indices": 2, "targets": [{"POSITION": 1}]}]}]},
    "no named morph targets": {"meshes": [{"primitives": [
        {"attributes": {"POSITION": 0}, "indices": 2, "targets": [{"POSITION": 1}]}]}]},
    "compressed": {"meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "extensions":
        {"KHR_draco_mesh_compression": {}}}]}]},
}  # fmt: skip


@pytest.mark.parametrize("message", BAD_GLTF)
def test_bad_gltf_files_are_named(tmp_path: Path, message: str) -> None:
    (tmp_path / "a.glb").write_bytes(small_gltf(**BAD_GLTF[message]))
    with pytest.raises(UserError, match=rf"a\.glb: .*{message}"):
        read_rig(tmp_path / "a.glb")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_give_one_clear_error_or_a_whole_rig(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes of a good file changed, cut or repeated."""
    suffix = data.draw(st.sampled_from([".glb", ".zip", ".npz"]))
    good = tmp_path / f"good{suffix}"
    if not good.exists():
        write_folder(tmp_path / "head", landmark_rig(), plain_names())
        zipped(tmp_path / "head", tmp_path / "good.zip")
        save_rig(landmark_rig(), tmp_path / "good.npz")
        (tmp_path / "good.glb").write_bytes(small_gltf())
    content = bytearray(good.read_bytes())
    # Most of a file is numbers: what tells readers where they are stands at its ends.
    ends = st.one_of(st.integers(0, min(1500, len(content) - 1)), st.integers(len(content) - 300, len(content) - 1))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(ends)] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))]
    bad = tmp_path / f"bad{suffix}"
    bad.write_bytes(content)
    try:
        read = read_rig(bad)
    except UserError as error:
        assert str(error).startswith(str(bad)) and "\n" not in str(error)
    else:
        assert np.isfinite(read.rig.neutral).all() and np.isfinite(read.rig.deltas).all()
        assert read.rig.triangles.max() < len(read.rig.neutral)


def test_arrays_of_our_form_by_others_are_checked(tmp_path: Path) -> None:
    rig = landmark_rig()
    save_rig(rig, tmp_path / "a.npz")
    np.testing.assert_array_equal(read_rig(tmp_path / "a.npz").rig.neutral, rig.neutral)
    for change, message in (
        ({"triangles": rig.triangles + 400}, "name vertices"),
        ({"deltas": rig.deltas[:, :4]}, "deltas has shape"),
        ({"colours": rig.colours * np.nan}, "colours"),
    ):
        save_rig(Rig(**{**vars(rig), **change}), tmp_path / "bad.npz")
        with pytest.raises(UserError, match=rf"bad\.npz: .*{message}"):
            read_rig(tmp_path / "bad.npz")
    pickled = io.BytesIO()
    np.savez(pickled, neutral=np.array([object()], object))
    (tmp_path / "code.npz").write_bytes(pickled.getvalue())
    with pytest.raises(UserError, match=r"code\.npz"):
        read_rig(tmp_path / "code.npz")


def test_the_shared_heads_are_read_and_stand_where_ours_does(shared: Path) -> None:
    ours = builtin_rig()
    for name in ("arkit_reference_blendshapes.zip", "ict_facekit_arkit.npz"):
        read = read_rig(shared / "rigs" / name)
        assert read.missing == ("tongueOut",), name
        # The jaw goes about as far as ours: unit and place are right.
        jaw = [np.linalg.norm(r.deltas[ARKIT_NAMES.index("jawOpen")], axis=1).max() for r in (read.rig, ours)]
        assert jaw[0] == pytest.approx(jaw[1], rel=0.15), name
        for side, sign in (("Left", 1), ("Right", -1)):
            blink = read.rig.deltas[ARKIT_NAMES.index(f"eyeBlink{side}")]
            assert sign * read.rig.neutral[blink[:, 1].argmin(), 0] > 1, name


def test_ict_facekit_as_obj_files_is_the_npz(shared: Path, tmp_path: Path) -> None:
    for source, name in (("ict_generic_neutral_mesh", "generic_neutral_mesh"), ("ict_jawOpen", "jawOpen"),
                         ("ict_mouthSmile_L", "mouthSmile_L")):  # fmt: skip
        (tmp_path / f"{name}.obj").write_bytes((shared / "rigs" / f"{source}.obj").read_bytes())
    folder = read_rig(tmp_path)
    assert set(ARKIT_NAMES) - set(folder.missing) == {"jawOpen", "mouthSmileLeft"}
    whole = read_rig(shared / "rigs" / "ict_facekit_arkit.npz")
    assert len(folder.rig.neutral) == len(whole.rig.neutral)
    # Two shapes do not say a size: compare up to it.
    scale = np.ptp(whole.rig.neutral[:, 1]) / np.ptp(folder.rig.neutral[:, 1])
    for shape in ("jawOpen", "mouthSmileLeft"):
        at = ARKIT_NAMES.index(shape)
        np.testing.assert_allclose(
            np.abs(folder.rig.deltas[at]).max() * scale, np.abs(whole.rig.deltas[at]).max(), 1e-3
        )


def test_the_command_writes_a_sheet_and_names_what_is_missing(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "head", landmark_rig(), plain_names())
    found = CliRunner().invoke(app, ["rig", str(folder), "-o", str(tmp_path / "sheet.png"), "--size", "64", "--json"])
    assert found.exit_code == 0, found.output
    (facts,) = json.loads(found.stdout)
    assert facts["shapes"] == "7 of 52" and "tongueOut" in facts["missing"] and facts["rig"] == "head"
    import cv2

    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (4 * 64, 4 * 64, 3) and sheet.std() > 5
    assert rig_from(None).rig is builtin_rig() and rig_from(Path("builtin")).rig is builtin_rig()
    with pytest.raises(UserError, match="no such file or folder"):
        rig_from(tmp_path / "none.glb")
    with pytest.raises(UserError, match=r"ends in \.png"):
        show_rig(None, tmp_path / "sheet.jpg", 64)


@pytest.mark.parametrize("suffix", [".zip", ".npz"])
def test_an_archive_of_a_later_version_is_named(tmp_path: Path, suffix: str) -> None:
    """Found by chance in an .npz: Python's reader raises `NotImplementedError`."""
    path = tmp_path / f"a{suffix}"
    if suffix == ".zip":
        write_folder(tmp_path / "head", landmark_rig(), plain_names())
        zipped(tmp_path / "head", path)
    else:
        save_rig(landmark_rig(), path)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 64
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"zip file version 6\.4"):
        read_rig(path)
