"""Keypoints and how they move: models.md 5.2 against scipy's rotations, and laws that any motion keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation
from torch import Tensor

from magictalk_core.errors import PermanentError
from magictalk_core.models.facevid2vid.estimator import BINS, HeadMotion
from magictalk_core.models.facevid2vid.transform import (
    Pose,
    RotationOrder,
    degrees,
    movement_scale,
    place,
    pose_aware,
    pose_of,
    relative,
    rotation,
)

K = 15
ANGLE = st.floats(-99, 96, width=32)
ORDERS: tuple[RotationOrder, ...] = ("pitch_yaw_roll", "roll_pitch_yaw")


def _logits(angle: float) -> Tensor:
    """(1, 66) whose expectation is `angle`: all of it in the two classes around."""
    place_ = (angle + 99) / 3
    low = min(int(place_), BINS - 2)
    shares = torch.full((1, BINS), 1e-30)
    shares[0, low], shares[0, low + 1] = max(1 - (place_ - low), 1e-30), max(place_ - low, 1e-30)
    return shares.log()


def _pose(seed: int, count: int = 1) -> Pose:
    rng = np.random.default_rng(seed)
    turns = Rotation.from_euler("XYZ", rng.uniform(-40, 40, (count, 3)), degrees=True).as_matrix()
    return Pose(
        torch.tensor(turns, dtype=torch.float32),
        torch.tensor(rng.normal(0, 0.1, (count, 3)), dtype=torch.float32),
        torch.tensor(rng.normal(0, 0.05, (count, K, 3)), dtype=torch.float32),
    )


def _canonical(seed: int) -> Tensor:
    return torch.tensor(np.random.default_rng(seed).uniform(-0.7, 0.7, (1, K, 3)), dtype=torch.float32)


def _still(count: int = 1) -> Pose:
    return Pose(torch.eye(3).expand(count, 3, 3), torch.zeros(count, 3), torch.zeros(count, K, 3))


@given(ANGLE)
@settings(max_examples=50, deadline=None)
def test_degrees_are_the_expectation_of_the_classes(angle: float) -> None:
    assert float(degrees(_logits(angle))) == pytest.approx(angle, abs=1e-3)


def test_the_ends_and_the_middle_of_the_classes() -> None:
    sure = torch.full((3, BINS), -1e4)
    sure[0, 0] = sure[1, 33] = sure[2, 65] = 1e4
    assert degrees(sure).tolist() == [-99, 0, 96]


@given(ANGLE, ANGLE, ANGLE, st.sampled_from(ORDERS))
@settings(max_examples=60, deadline=None)
def test_rotation_is_scipy_s(yaw: float, pitch: float, roll: float, order: RotationOrder) -> None:
    angles = torch.tensor([[yaw], [pitch], [roll]], dtype=torch.float64)
    found = rotation(angles[0], angles[1], angles[2], order)
    about_xyz = (pitch, yaw, roll) if order == "pitch_yaw_roll" else (roll, pitch, yaw)
    np.testing.assert_allclose(found[0], Rotation.from_euler("XYZ", about_xyz, degrees=True).as_matrix(), atol=1e-12)


def test_the_public_code_s_pi_moves_no_head() -> None:
    """3.14 in place of pi: at 45 degrees the difference is under 0.03 degrees."""
    angle = torch.tensor([45.0], dtype=torch.float64)
    none = torch.zeros(1, dtype=torch.float64)
    apart = rotation(angle, none, none).mT @ rotation(angle * 3.14 / math.pi, none, none)
    assert Rotation.from_matrix(apart[0].numpy()).magnitude() < math.radians(0.03)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_placing_is_turning_then_moving(seed: int) -> None:
    canonical, pose = _canonical(seed), _pose(seed + 1, 3)
    turned = np.stack([Rotation.from_matrix(one).apply(canonical[0].numpy()) for one in pose.rotation.numpy()])
    expected = turned + pose.translation.numpy()[:, None] + pose.expression.numpy()
    np.testing.assert_allclose(place(canonical, pose).numpy(), expected, atol=1e-6)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_face_at_rest_has_its_canonical_keypoints(seed: int) -> None:
    canonical = _canonical(seed)
    assert torch.equal(place(canonical, _still()), canonical)


@given(st.integers(0, 10_000), st.floats(0.2, 3))
@settings(max_examples=30, deadline=None)
def test_a_driving_that_has_not_moved_gives_the_source(seed: int, scale: float) -> None:
    canonical, source, initial = _canonical(seed), _pose(seed + 1), _pose(seed + 2)
    placed, start = place(canonical, source), place(canonical, initial)
    assert torch.equal(relative(placed, start, start, scale), placed)
    torch.testing.assert_close(pose_aware(canonical, source, initial, initial), placed, atol=1e-6, rtol=1e-5)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_source_that_began_as_the_driving_follows_it_exactly(seed: int) -> None:
    """Both ways of relative motion then say the same: the driving's own keypoints (the depth of its place aside)."""
    canonical, initial, driving = _canonical(seed), _pose(seed + 1), _pose(seed + 2, 4)
    driving.translation[:, 2] = initial.translation[:, 2]
    wanted = place(canonical, driving)
    start = place(canonical, initial)
    torch.testing.assert_close(relative(start, wanted, start), wanted, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(pose_aware(canonical, initial, driving, initial), wanted, atol=1e-6, rtol=1e-5)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_pose_aware_turns_the_head_by_as_much_as_the_driving_s_turned(seed: int) -> None:
    source, driving, initial = (
        Pose(_pose(seed + i).rotation, torch.zeros(1, 3), torch.zeros(1, K, 3)) for i in range(3)
    )
    made = pose_aware(_canonical(seed), source, driving, initial)[0].numpy()
    # The rotation between the source's keypoints and the made ones, by a fit that knows nothing of matrices above.
    fitted, _ = Rotation.align_vectors(made, place(_canonical(seed), source)[0].numpy())
    turned = Rotation.from_matrix(initial.rotation[0].numpy()).inv() * Rotation.from_matrix(driving.rotation[0].numpy())
    assert fitted.magnitude() == pytest.approx(turned.magnitude(), abs=1e-3)


def test_the_estimator_s_words_become_a_pose() -> None:
    angles = {"yaw": 30.0, "pitch": -12.0, "roll": 7.5}
    motion = HeadMotion(
        **{name: _logits(angle) for name, angle in angles.items()},
        translation=torch.tensor([[0.1, 0.2, 0.3]]), expression=torch.ones(1, K, 3),
    )  # fmt: skip
    pose = pose_of(motion)
    expected = Rotation.from_euler("XYZ", [-12.0, 30.0, 7.5], degrees=True).as_matrix()
    np.testing.assert_allclose(pose.rotation[0], expected, atol=1e-4)
    assert torch.equal(motion.at(slice(0, 1)).expression, pose.expression)


def test_adapt_scale_is_the_root_of_the_hulls() -> None:
    source, initial = _canonical(1), _canonical(1) * 0.5
    assert movement_scale(source, initial) == pytest.approx(8**0.5, rel=1e-5)
    other = _canonical(2)
    volumes = [ConvexHull(one[0].numpy()).volume for one in (source, other)]
    assert movement_scale(source, other) == pytest.approx((volumes[0] / volumes[1]) ** 0.5, rel=1e-4)


def test_keypoints_in_one_plane_have_no_scale() -> None:
    flat = _canonical(1)
    flat[..., 2] = 0
    with pytest.raises(PermanentError, match="the 15 keypoints of this face span no volume"):
        movement_scale(flat, _canonical(2))
