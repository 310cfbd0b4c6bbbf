"""Motion curves through every format and back, with the stated losses and no others."""

from __future__ import annotations

import csv
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magictalk_core.commands.convert import convert_file
from magictalk_core.errors import UserError
from magictalk_core.faces.extract import frames_table
from magictalk_core.faces.observation import NO_FACE, FaceObservation
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.curves import Curves, curves_of_table, resampled, smoothed, table_of_curves
from magictalk_core.rig.gltf import write_gltf
from magictalk_core.rig.gltf_reader import read_gltf
from magictalk_core.rig.live_link import LIVE_LINK_HEADER, write_live_link
from magictalk_core.rig.live_link_reader import read_live_link
from magictalk_core.storage.parquet import read_table, write_table
from magictalk_core.storage.schema import FRAMES
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES

LOST = (3, 4)
"""Frames without a face."""


def _curves(n: int = 40, seed: int = 0, blind: bool = False) -> Curves:
    rng = np.random.default_rng(seed)
    coefficients = rng.uniform(0, 1, (n, 52)).astype(np.float32)
    pose = rng.uniform(-50, 50, (n, 6)).astype(np.float32)
    pose[:, 5] -= 60
    if blind:
        coefficients[:, ARKIT_NAMES.index("tongueOut")] = np.nan
    seen = np.ones(n, bool)
    seen[list(LOST)] = False
    coefficients[~seen], pose[~seen] = np.nan, np.nan
    return Curves("c/s/take", coefficients, pose, seen, 25.0, "litert-blendshapes/2")


def _same(a: np.ndarray, b: np.ndarray) -> None:
    np.testing.assert_allclose(a, b, atol=1e-6, rtol=0)


def test_a_table_and_its_curves_are_the_same() -> None:
    curves = _curves(blind=True)
    (back,) = curves_of_table(table_of_curves(curves))
    assert (back.clip_id, back.origin, back.fps) == (curves.clip_id, curves.origin, 25.0)
    for name in ("coefficients", "pose", "seen"):
        assert np.array_equal(getattr(back, name), getattr(curves, name), equal_nan=True)


def test_several_clips_of_a_table_stay_apart() -> None:
    tables = [table_of_curves(_curves(n)) for n in (6, 9)]
    tables[1] = tables[1].set_column(0, FRAMES.schema().field("clip_id"), pa.array(["c/s/other"] * 9))
    assert [(c.clip_id, len(c)) for c in curves_of_table(pa.concat_tables(tables))] == [
        ("c/s/take", 6),
        ("c/s/other", 9),
    ]


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_live_link_round_trip(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    path, curves = tmp_path_factory.mktemp("l") / "take.csv", _curves(30, seed)
    write_live_link(curves, path)
    back = read_live_link(path)
    assert back.fps == 25.0 and np.array_equal(back.seen, curves.seen)
    _same(back.coefficients, curves.coefficients)
    _same(back.pose[:, :3], curves.pose[:, :3])
    assert np.isnan(back.pose[:, 3:]).all(), "the format has no translation"


def test_a_live_link_file_is_what_other_readers_expect(tmp_path: Path) -> None:
    """Read with the csv module alone, as the importers for Blender and Maya do: 63 columns, 61 values, radians."""
    curves = _curves(60, blind=True)
    write_live_link(curves, tmp_path / "take.csv")
    with (tmp_path / "take.csv").open(newline="") as file:
        header, *rows = list(csv.reader(file))
    assert header == list(LIVE_LINK_HEADER) and header[:2] == ["Timecode", "BlendShapeCount"] and len(header) == 63
    assert {n.lower() for n in header[2:54]} == {n.lower() for n in ARKIT_NAMES}
    assert header[16:20] == ["JawForward", "JawRight", "JawLeft", "JawOpen"]
    assert header[54:57] == ["HeadYaw", "HeadPitch", "HeadRoll"]
    assert all(len(row) == 63 and [float(v) for v in row[1:]] for row in rows)
    assert [rows[0][0], rows[26][0]] == ["00:00:00:00.000", "00:00:01:01.000"]
    assert [rows[i][1] for i in (2, *LOST)] == ["61", "0", "0"]
    assert rows[3][2:] == rows[2][2:], "a lost frame repeats the last values"
    yaw = POSE_NAMES.index("head_yaw_deg")
    assert float(rows[7][header.index("HeadYaw")]) == pytest.approx(np.radians(curves.pose[7, yaw]))
    assert float(rows[7][header.index("TongueOut")]) == 0.0


def test_a_recording_with_dropped_frames_and_an_odd_start(tmp_path: Path) -> None:
    write_live_link(_curves(20), tmp_path / "take.csv")
    lines = (tmp_path / "take.csv").read_text().splitlines()
    lines = [lines[0], *(f"14:59:{line[6:]}" for line in lines[1:9]), "", *(f"14:59:{line[6:]}" for line in lines[12:])]
    (tmp_path / "take.csv").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    back = read_live_link(tmp_path / "take.csv")
    assert len(back) == 20 and not back.seen[8:11].any() and back.seen[11:].all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("Timecode", "Time", 1), "not a Live Link Face file"),
        (lambda text: text.replace("JawOpen", "JawOpn", 1), "lacks jawOpen"),
        (lambda text: text.replace("00:00:00:05.000", "5", 1), "line 7: expected a timecode"),
        (lambda text: text.replace("00:00:00:05.000", "00:00:00:01.000", 1), "do not advance"),
        (lambda text: text.replace(",0.0,", ",zero,", 1), "line 2: could not convert"),
    ],
)
def test_a_damaged_recording_is_told_with_its_line(tmp_path: Path, change: object, message: str) -> None:
    write_live_link(_curves(10, blind=True), tmp_path / "take.csv")
    (tmp_path / "take.csv").write_text(change((tmp_path / "take.csv").read_text()))  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        read_live_link(tmp_path / "take.csv")


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_gltf_round_trip(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    path, curves = tmp_path_factory.mktemp("g") / "take.glb", _curves(12, seed, blind=True)
    write_gltf(curves, builtin_rig(), path)
    back = read_gltf(path)
    assert (back.clip_id, back.fps, back.origin) == (curves.clip_id, 25.0, curves.origin)
    assert np.array_equal(back.seen, curves.seen)
    _same(back.coefficients, curves.coefficients)
    _same(back.pose, curves.pose)


def _document(path: Path) -> tuple[dict[str, object], bytes]:
    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def _put(path: Path, document: object, body: bytes) -> Path:
    """A binary glTF file of a document and its binary chunk."""
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    raw = struct.pack("<III", 0x46546C67, 2, 28 + len(text) + len(body))
    path.write_bytes(
        raw + struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(body), 0x004E4942) + body
    )
    return path


def test_a_gltf_file_is_whole_and_its_head_turns(tmp_path: Path) -> None:
    curves = _curves(8)
    write_gltf(curves, builtin_rig(), tmp_path / "take.glb")
    document, body = _document(tmp_path / "take.glb")
    (total,) = struct.unpack_from("<I", (tmp_path / "take.glb").read_bytes(), 8)
    assert total == (tmp_path / "take.glb").stat().st_size and len(body) % 4 == 0
    mesh = document["meshes"][0]  # type: ignore[index]
    assert mesh["extras"]["targetNames"] == list(ARKIT_NAMES) and len(mesh["primitives"][0]["targets"]) == 52
    # Without our own note the pose comes from the quaternions, to float32.
    document["animations"][0]["extras"].pop("pose")  # type: ignore[index]
    _put(tmp_path / "other.glb", document, body)
    back = read_gltf(tmp_path / "other.glb")
    np.testing.assert_allclose(back.pose[curves.seen, :3], curves.pose[curves.seen, :3], atol=1e-3)
    assert np.isnan(back.pose[:, 3:]).all()


def _set(document: Any, place: str, value: object) -> None:
    *way, last = (int(step) if step.isdigit() else step for step in place.split("/"))
    for step in way:
        document = document[step]
    document[last] = value


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("animations", "all", "animations"),
        ("animations/0/channels/0/target", 3, "target"),
        ("animations/0/channels/0/sampler", -1, "sampler"),
        ("animations/0/extras/frames", 1 << 40, "frames"),
        ("animations/0/extras/fps", 0, "fps"),
        ("animations/0/extras/fps", 1e12, "fps"),
        ("animations/0/extras/origin", {"a": 1}, "origin"),
        ("accessors/0/count", 1 << 40, "ends behind"),
        ("bufferViews/55/byteOffset", -4, "byteOffset"),
        ("bufferViews/55/buffer", 1, "another file"),
        ("buffers/0/uri", "/etc/passwd", "another file"),
        ("nodes", [], "missing part"),
        ("meshes/0/extras/targetNames", [], "ARKit"),
    ],
)
def test_a_hostile_gltf_file_is_one_clear_error(tmp_path: Path, place: str, value: object, message: str) -> None:
    write_gltf(_curves(8), builtin_rig(), tmp_path / "take.glb")
    document, body = _document(tmp_path / "take.glb")
    channel = document["animations"][0]["samplers"][0]["input"]  # type: ignore[index]
    view = document["accessors"][channel]["bufferView"]  # type: ignore[index]
    place = place.replace("accessors/0", f"accessors/{channel}").replace("Views/55", f"Views/{view}")
    _set(document, place, value)
    with pytest.raises(UserError, match=message) as failure:
        read_gltf(_put(tmp_path / "bad.glb", document, body))
    assert "bad.glb" in str(failure.value) and "\n" not in str(failure.value)


@pytest.mark.parametrize("times", [[0.0, -3.0], [0.0, np.nan], [0.0, 1e30]])
def test_keys_of_a_gltf_file_lie_in_a_clip(tmp_path: Path, times: list[float]) -> None:
    write_gltf(_curves(8), builtin_rig(), tmp_path / "take.glb")
    document, body = _document(tmp_path / "take.glb")
    keys = document["animations"][0]["samplers"][0]["input"]  # type: ignore[index]
    start = document["bufferViews"][document["accessors"][keys]["bufferView"]]["byteOffset"]  # type: ignore[index]
    body = body[:start] + np.array(times, "<f4").tobytes() + body[start + 8 :]
    with pytest.raises(UserError, match="key"):
        read_gltf(_put(tmp_path / "bad.glb", document, body))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 1 << 22), st.binary(min_size=1, max_size=8)), max_size=6),
    cut=st.integers(0, 1 << 16),
)
def test_changed_bytes_give_curves_or_one_error(tmp_path: Path, changes: list[tuple[int, bytes]], cut: int) -> None:
    path = tmp_path / "take.glb"
    if not (tmp_path / "whole.glb").exists():
        write_gltf(_curves(8), builtin_rig(), tmp_path / "whole.glb")
    content = bytearray((tmp_path / "whole.glb").read_bytes())
    for place, new in changes:
        # The structure in front and the keys behind: between them lie shapes, which are not read.
        place = place % 40_000 - 4_000
        content[place : place + len(new)] = new
    path.write_bytes(bytes(content)[: len(content) - cut % 64])
    try:
        assert len(read_gltf(path)) < 1 << 20
    except UserError:
        return


def test_nothing_to_animate_and_no_animation_are_errors(tmp_path: Path) -> None:
    empty = curves_of_table(frames_table("c/s/none", [NO_FACE, NO_FACE], "x/1"))[0]
    with pytest.raises(UserError, match="nothing to animate"):
        write_gltf(empty, builtin_rig(), tmp_path / "a.glb")
    assert not (tmp_path / "a.glb").exists()
    (tmp_path / "b.glb").write_bytes(b"glTF nonsense and more of it")
    with pytest.raises(UserError, match=r"b\.glb"):
        read_gltf(tmp_path / "b.glb")


def test_smoothing_is_local_keeps_lines_and_gaps_and_is_recorded() -> None:
    curves = _curves(40)
    line = np.linspace(0, 1, 40, dtype=np.float32)[:, None].repeat(52, axis=1)
    line[list(LOST)] = np.nan
    straight = smoothed(Curves("x", line, curves.pose, curves.seen, 25.0, "t/1"), 7)
    np.testing.assert_allclose(straight.coefficients, line, atol=1e-6)
    assert straight.origin == "t/1+savgol-7-2"
    noisy = smoothed(curves, 7)
    assert np.array_equal(np.isnan(noisy.coefficients), np.isnan(curves.coefficients))
    assert np.nanmin(noisy.coefficients) >= 0 and np.nanmax(noisy.coefficients) <= 1
    assert np.nanstd(np.diff(noisy.coefficients, axis=0)) < 0.6 * np.nanstd(np.diff(curves.coefficients, axis=0))
    changed = curves.coefficients.copy()
    changed[30] = 0.5
    other = smoothed(Curves("x", changed, curves.pose, curves.seen, 25.0, "t/1"), 7)
    moved = np.flatnonzero(~np.isclose(other.coefficients, noisy.coefficients, equal_nan=True).all(axis=1))
    assert moved.min() >= 27 and moved.max() <= 33
    for window in (4, 3, 0):
        with pytest.raises(UserError, match="odd"):
            smoothed(curves, window)


def test_another_rate_is_brought_to_25() -> None:
    times = np.arange(60) / 60
    ramp = times.astype(np.float32)[:, None].repeat(52, axis=1)
    seen = np.ones(60, bool)
    seen[20:40] = False
    curves = Curves("x", ramp, ramp[:, :6], seen, 60.0, "t/1")
    ours = resampled(curves, 25.0)
    assert len(ours) == 25 and ours.fps == 25.0
    np.testing.assert_allclose(ours.coefficients[ours.seen, 0], np.flatnonzero(ours.seen) / 25, atol=1e-6)
    assert ours.seen.sum() == pytest.approx(25 * 2 / 3, abs=1) and np.isnan(ours.coefficients[~ours.seen]).all()


def _take(path: Path) -> Path:
    def one(i: int) -> FaceObservation:
        return NO_FACE if i in LOST else FaceObservation(True, 0.9, None, _curves(30).coefficients[i], np.ones(6, "f4"))

    write_table(FRAMES, frames_table("take", map(one, range(30)), "t/1"), path, {})
    return path


def test_files_are_converted_through_all_formats(tmp_path: Path) -> None:
    source = _take(tmp_path / "take.parquet")
    before = source.read_bytes()
    steps = [("a.csv", "livelink"), ("b.parquet", None), ("c.glb", None), ("d.csv", None), ("e.parquet", "parquet")]
    for name, form in steps:
        summary = convert_file(source, tmp_path / name, form=form, clip=None, smooth=None, fps=None)
        assert summary.frames == 30
        source = tmp_path / name
    first, last = (read_table(FRAMES, tmp_path / n) for n in ("take.parquet", "e.parquet"))
    for name in ("face_found", "frame_index", "jawOpen", "browInnerUp", "head_yaw_deg"):
        assert first.column(name).to_pylist() == pytest.approx(last.column(name).to_pylist(), abs=1e-6)
    assert (tmp_path / "take.parquet").read_bytes() == before
    convert_file(tmp_path / "take.parquet", tmp_path / "s.parquet", form=None, clip=None, smooth=5, fps=None)
    assert set(read_table(FRAMES, tmp_path / "s.parquet").column("tracker").to_pylist()) == {"t/1+savgol-5-2"}


@pytest.mark.parametrize(
    ("source", "output", "options", "message"),
    [
        ("take.parquet", "x.txt", {}, "ends in"),
        ("take.parquet", "x.csv", {"form": "fbx"}, "expected one of"),
        ("take.parquet", "x.csv", {"form": "gltf"}, r"ends in \.glb"),
        ("take.parquet", "take.parquet", {}, "stays as it is"),
        ("missing.parquet", "x.csv", {}, "no such file"),
        ("take.parquet", "x.csv", {"clip": "other"}, "no clip other"),
        ("take.parquet", "x.csv", {"smooth": 4}, "odd"),
        ("other.csv", "x.parquet", {}, "other.csv"),
    ],
)
def test_bad_requests_are_one_clear_error(
    tmp_path: Path, source: str, output: str, options: dict[str, object], message: str
) -> None:
    _take(tmp_path / "take.parquet")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=message):
        values: dict[str, object] = {"form": None, "clip": None, "smooth": None, "fps": None, **options}
        convert_file(tmp_path / source, tmp_path / output, **values)  # type: ignore[arg-type]
