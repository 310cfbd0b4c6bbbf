"""The rigid fit of the head, on a canonical face that the test makes up, and the wire format it comes in."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.errors import PermanentError
from magictalk_core.faces.face_geometry import CanonicalFace, head_poses_of, parse_geometry_metadata
from magictalk_core.faces.head_pose import focal_length_px, rotation_of
from magictalk_core.faces.solver import neutral_face
from magictalk_core.weights.wire import fields, varint

BASIS = (4, 6, 10, 33, 54, 67, 117, 119, 121, 127, 129, 132, 133, 263, 284, 356, 361, 362)


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _metadata(packed: bool = False) -> bytes:
    """The bundle's message: a mesh with 5 floats a vertex, and weighted landmarks."""
    vertices = np.hstack([neutral_face(), np.zeros((468, 2), np.float32)]).astype("<f4").ravel()
    if packed:
        mesh = _message(3, vertices.tobytes())
    else:
        mesh = b"".join(_varint(3 << 3 | 5) + struct.pack("<f", v) for v in vertices)
    basis = b"".join(
        _message(2, _varint(1 << 3) + _varint(i) + _varint(2 << 3 | 5) + struct.pack("<f", 0.1 + i / 1000))
        for i in BASIS
    )
    return _message(1, mesh) + basis + _varint(3 << 3) + _varint(2)


@pytest.fixture(scope="module")
def canonical() -> CanonicalFace:
    return parse_geometry_metadata(_metadata())


def test_metadata_is_read_packed_or_not(canonical: CanonicalFace) -> None:
    packed = parse_geometry_metadata(_metadata(packed=True))
    assert canonical.landmarks.tolist() == list(BASIS) and canonical.weights.sum() == pytest.approx(1)
    assert np.array_equal(packed.points, canonical.points) and packed.spread == canonical.spread


def _project(face: np.ndarray, distance: float, width: int, height: int) -> np.ndarray:
    """Landmarks (468, 3) as the network gives them: pixels, depth relative and in the scale of x."""
    focal = focal_length_px(height)
    depth = distance - face[:, 2]
    xy = face[:, :2] / depth[:, None] * focal * [1, -1] + [width / 2, height / 2]
    return np.column_stack([xy, (depth - depth.mean()) * focal / depth.mean()]).astype(np.float32)


@given(st.floats(-25, 25), st.floats(-25, 25), st.floats(-35, 35), st.floats(40, 90), st.floats(-6, 6))
def test_a_head_seen_through_the_camera_gives_back_its_pose(
    pitch: float, yaw: float, roll: float, distance: float, side: float
) -> None:
    canonical = parse_geometry_metadata(_metadata())
    face = neutral_face().astype(np.float64) @ rotation_of(pitch, yaw, roll).T + [side, 1.0, 0.0]
    (pose,) = head_poses_of(_project(face, distance, 320, 240)[None], canonical, 320, 240)
    assert pose[:3] == pytest.approx((pitch, yaw, roll), abs=1.5)
    assert pose[3:5] == pytest.approx((side, 1.0), abs=0.5)
    assert pose[5] == pytest.approx(-distance, rel=0.05)


def test_a_face_alone_and_among_others_has_the_same_pose(canonical: CanonicalFace) -> None:
    faces = [_project(neutral_face() @ rotation_of(0, yaw, 0).T, 50, 256, 256) for yaw in (-20, 0, 15)]
    together = head_poses_of(np.array(faces), canonical, 256, 256)
    alone = np.concatenate([head_poses_of(face[None], canonical, 256, 256) for face in faces])
    assert together == pytest.approx(alone, abs=1e-5)
    assert head_poses_of(np.zeros((0, 468, 3), np.float32), canonical, 256, 256).shape == (0, 6)


def test_fields_come_in_file_order_and_damage_is_told() -> None:
    message = _varint(1 << 3) + _varint(300) + _message(2, b"abc") + _varint(4 << 3 | 1) + struct.pack("<d", 2.0)
    found = list(fields(message))
    assert found[0] == (1, 300) and bytes(found[1][1]) == b"abc" and len(found[2][1]) == 8  # type: ignore[arg-type]
    for cut in (1, 4, len(message) - 1):
        with pytest.raises(PermanentError, match="damaged"):
            list(fields(message[:cut]))
    with pytest.raises(PermanentError, match="unknown kind"):
        list(fields(bytes([1 << 3 | 3])))


@given(st.integers(0, 2**63 - 1))
def test_numbers_of_any_length(value: int) -> None:
    assert varint(_varint(value), 0) == (value, len(_varint(value)))
