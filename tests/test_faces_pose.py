"""Head pose: the stated axes and signs, on rotation matrices and on turned and mirrored pictures."""

from __future__ import annotations

import numpy as np
import pytest
from face_fixtures import astronaut, mirrored, need_embedded_weights, turned
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.faces.head_pose import (
    angles_of,
    focal_length_px,
    head_turns,
    pose_from_frame,
    pose_of_crop,
    rotation_of,
)
from magictalk_core.faces.observation import FaceObservation
from magictalk_core.faces.solver import face_frame, neutral_face
from magictalk_core.faces.tracker import Tracker, geometric_tracker, open_tracker
from magictalk_core.vocabulary.arkit import POSE_NAMES

ANGLE = st.floats(-80, 80)


@given(ANGLE, ANGLE, ANGLE)
def test_angles_and_rotation_are_inverse_and_as_stated(pitch: float, yaw: float, roll: float) -> None:
    (cp, cy, cr), (sp, sy, sr) = (f(np.radians([pitch, yaw, roll])) for f in (np.cos, np.sin))
    stated = (
        np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        @ np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    )
    np.testing.assert_allclose(rotation_of(pitch, yaw, roll), stated, rtol=0, atol=1e-12)
    assert angles_of(head_turns((pitch, yaw, roll))) == pytest.approx((pitch, yaw, roll), abs=1e-9)
    assert angles_of(head_turns([(pitch, yaw, roll), (0, 0, 0)])).shape == (2, 3)


def test_signs_are_those_of_the_contract() -> None:
    nose, top = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
    assert (rotation_of(0, 30, 0) @ nose)[0] > 0  # yaw turns the nose to the subject's left, +x
    assert (rotation_of(30, 0, 0) @ nose)[1] < 0  # pitch looks down
    assert (rotation_of(0, 0, 30) @ top)[0] < 0  # roll turns counter-clockwise in the picture


@given(st.floats(-40, 40), st.floats(-40, 40), st.floats(-40, 40), st.floats(4, 30), st.floats(-60, 60))
def test_a_posed_neutral_face_gives_back_its_pose(
    pitch: float, yaw: float, roll: float, scale: float, shift: float
) -> None:
    camera = neutral_face() @ rotation_of(pitch, yaw, roll).T * scale
    landmarks = (camera + np.array([128 + shift, -128, 0])) * [1, -1, -1]
    frame = face_frame(landmarks.astype(np.float32))
    pose = pose_from_frame(frame.rotation, frame.scale, frame.centre, 256, 256)
    assert pose[:3] == pytest.approx((pitch, yaw, roll), abs=0.01)
    assert pose[3:] == pytest.approx((shift / scale, 0, -focal_length_px(256) / scale), abs=0.05)


def test_the_pose_of_a_crop_is_the_pose_in_the_whole_picture() -> None:
    rotation, scale = rotation_of(5, -10, 3), 12.0
    whole = pose_from_frame(rotation, scale, np.array([700.0, -300.0, 0.0]), 1920, 1080)
    crop = pose_from_frame(rotation, scale, np.array([700.0 - 560, -300.0 + 200, 0.0]), 256, 256)
    assert pose_of_crop(crop, 560, 200, 256, 1920, 1080) == pytest.approx(whole, abs=1e-3)


def _look(tracker: Tracker) -> tuple[FaceObservation, ...]:
    return tuple(tracker.track([astronaut(), turned(astronaut(), 15), mirrored(astronaut())]))


def _check_signs(seen: tuple[FaceObservation, ...], tolerance: float) -> None:
    straight, rolled, mirror = (dict(zip(POSE_NAMES, o.pose.tolist(), strict=True)) for o in seen)
    assert rolled["head_roll_deg"] - straight["head_roll_deg"] == pytest.approx(15, abs=tolerance)
    for name in ("head_yaw_deg", "head_roll_deg", "head_x_cm"):
        assert mirror[name] == pytest.approx(-straight[name], abs=tolerance)
    for name in ("head_pitch_deg", "head_y_cm"):
        assert mirror[name] == pytest.approx(straight[name], abs=tolerance)
    assert mirror["head_z_cm"] == pytest.approx(straight["head_z_cm"], rel=0.06)
    assert straight["head_z_cm"] < 0


def test_the_geometric_tracker_keeps_the_signs() -> None:
    need_embedded_weights()
    _check_signs(_look(geometric_tracker()), 3.0)


@pytest.mark.shared
def test_mediapipe_keeps_the_signs_and_agrees_with_the_geometric_tracker(
    shared: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_embedded_weights()
    monkeypatch.setenv("MAGICTALK_WEIGHTS", str(shared / "weights"))  # type: ignore[operator]
    seen = _look(open_tracker("mediapipe"))
    _check_signs(seen, 3.0)
    for a, b in zip(seen, _look(geometric_tracker()), strict=True):
        assert a.pose[1:3] == pytest.approx(b.pose[1:3], abs=4)
        # Pitch and distance depend on the neutral face and camera that each assumes.
        assert a.pose[0] == pytest.approx(b.pose[0], abs=15)
        assert a.pose[5] == pytest.approx(b.pose[5], rel=0.2)
