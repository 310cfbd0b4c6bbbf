"""The geometric solver on faces whose expression is known, and the laws it keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magictalk_core.faces.head_pose import rotation_of
from magictalk_core.faces.solver import face_frame, neutral_face, solve
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.rig import Rig
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, BLIND_CHANNELS, mirror_name

NEUTRAL = neutral_face()
MIRROR = ((NEUTRAL[:, None] - NEUTRAL[None] * [-1, 1, 1]) ** 2).sum(-1).argmin(axis=1)
SEEN = [n for n in ARKIT_NAMES if n not in BLIND_CHANNELS["litert-geometric"]]


@pytest.fixture(scope="module")
def rig() -> Rig:
    return builtin_rig()


def _solve(face: np.ndarray) -> dict[str, float]:
    """Coefficients of a face in cm, y up, seen at 12 pixels per cm."""
    landmarks = (face * 12 * [1, -1, -1]).astype(np.float32)
    return dict(zip(ARKIT_NAMES, solve(face_frame(landmarks)).tolist(), strict=True))


def _expression(rig: Rig, **weights: float) -> np.ndarray:
    offset = sum(w * rig.deltas[ARKIT_NAMES.index(n), :468] for n, w in weights.items())
    return rig.neutral[:468] + offset


def test_blind_channels_are_nan_and_all_others_are_in_range() -> None:
    values = _solve(NEUTRAL)
    assert {n for n, v in values.items() if np.isnan(v)} == set(BLIND_CHANNELS["litert-geometric"])
    assert all(0 <= values[n] <= 1 for n in SEEN)


def test_blindness_is_the_same_on_both_sides() -> None:
    for channels in BLIND_CHANNELS.values():
        assert {mirror_name(n) for n in channels} == set(channels)


@given(st.floats(-35, 35), st.floats(-35, 35), st.floats(-35, 35), st.floats(2, 60), st.floats(-500, 500))
def test_pose_size_and_place_do_not_change_the_expression(
    pitch: float, yaw: float, roll: float, scale: float, shift: float
) -> None:
    moved = NEUTRAL @ rotation_of(pitch, yaw, roll).T * scale + shift
    values = solve(face_frame((moved * [1, -1, -1]).astype(np.float32)))
    assert values == pytest.approx(solve(face_frame(NEUTRAL * np.float32([12, -12, -12]))), abs=0.01, nan_ok=True)


@given(st.integers(0, 1000))
def test_a_mirrored_face_swaps_left_and_right(seed: int) -> None:
    face = NEUTRAL + np.random.default_rng(seed).normal(0, 0.05, NEUTRAL.shape)
    values, other = _solve(face), _solve(face[MIRROR] * [-1, 1, 1])
    assert [other[mirror_name(n)] for n in SEEN] == pytest.approx([values[n] for n in SEEN], abs=1e-3)


@pytest.mark.parametrize(
    ("moved", "read"),
    [
        (("jawOpen",), "jawOpen"),
        (("eyeBlinkLeft", "eyeBlinkRight"), "eyeBlinkLeft"),
        (("mouthSmileLeft", "mouthSmileRight"), "mouthSmileLeft"),
        (("mouthPucker",), "mouthPucker"),
        (("browInnerUp",), "browInnerUp"),
        (("browDownLeft", "browDownRight"), "browDownRight"),
    ],
)
def test_more_of_an_expression_gives_more_of_its_coefficient(rig: Rig, moved: tuple[str, ...], read: str) -> None:
    values = [_solve(_expression(rig, **dict.fromkeys(moved, w)))[read] for w in (0.0, 0.4, 0.8)]
    assert values[0] < values[1] <= values[2]
    assert values[2] - values[0] > 0.1


def test_a_wink_closes_one_eye(rig: Rig) -> None:
    values = _solve(_expression(rig, eyeBlinkLeft=1.0))
    assert values["eyeBlinkLeft"] > values["eyeBlinkRight"] + 0.2
