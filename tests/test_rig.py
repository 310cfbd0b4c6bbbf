"""The built-in rig: what each shape must do, and the pictures that the renderer makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError
from magictalk_core.faces.mesh import LANDMARKS
from magictalk_core.faces.solver import neutral_face
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.part_colours import PUPIL_COLOUR
from magictalk_core.rig.render import RigRenderer, project
from magictalk_core.rig.rig import drawn_part, load_rig, save_rig
from magictalk_core.rig.shapes import LOWER_LID, UPPER_LID, face_deltas, mirror_indices
from magictalk_core.rig.sheet import rig_sheet
from magictalk_core.rig.subdivide import subdivided
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES, mirror_name

NOSE_TIP, CHIN, FOREHEAD = 4, 152, 10
CORNER = {"Left": 291, "Right": 61}
BROW_INNER, BROW_OUTER = {"Left": 285, "Right": 55}, {"Left": 276, "Right": 46}


def row(**weights: float) -> NDArray[np.float32]:
    """A motion row; a name without a side sets both."""
    values = np.zeros(len(MOTION_NAMES), np.float32)
    for name, weight in weights.items():
        for each in [name] if name in MOTION_NAMES else [f"{name}Left", f"{name}Right"]:
            values[MOTION_NAMES.index(each)] = weight
    return values


def change(name: str) -> NDArray[np.float32]:
    """(468, 3) displacement of the face by one shape at weight 1."""
    return builtin_rig().deltas[ARKIT_NAMES.index(name), :LANDMARKS]


@pytest.fixture(scope="module")
def renderer() -> Iterator[RigRenderer]:
    drawn = RigRenderer(builtin_rig(), 96)
    yield drawn
    drawn.close()


def test_zero_motion_is_the_neutral_face() -> None:
    rig = builtin_rig()
    np.testing.assert_allclose(rig.pose(row()), rig.neutral, atol=1e-5)
    np.testing.assert_allclose(rig.neutral[:LANDMARKS], neutral_face(), atol=1e-6)
    np.testing.assert_allclose(rig.pose(np.full(len(MOTION_NAMES), np.nan)), rig.neutral, atol=1e-5)


def test_the_neutral_face_looks_ahead_with_its_mouth_closed() -> None:
    face = neutral_face()
    mirrored = face[mirror_indices()] * [-1, 1, 1]
    np.testing.assert_allclose(mirrored, face, atol=1e-4)
    assert abs(face[13, 1] - face[14, 1]) < 0.15
    assert face[NOSE_TIP, 2] == pytest.approx(face[:, 2].max(), abs=0.2)
    assert face[FOREHEAD, 1] > face[33, 1] > face[NOSE_TIP, 1] > face[13, 1] > face[CHIN, 1]
    assert face[CORNER["Left"], 0] > 0


def test_every_shape_moves_something_and_left_mirrors_right() -> None:
    rig, mirror = builtin_rig(), mirror_indices()
    for name in ARKIT_NAMES:
        assert np.abs(rig.deltas[ARKIT_NAMES.index(name)]).max() > 0.02, name
        other = mirror_name(name)
        expected = change(name)[mirror] * [-1, 1, 1]
        np.testing.assert_allclose(change(other), expected, atol=2e-3, err_msg=f"{name} against {other}")


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=52, max_size=52), st.integers(0, 51))
def test_shapes_add_up(weights: list[float], cut: int) -> None:
    rig = builtin_rig()
    first, second = np.array(weights, np.float32), np.array(weights, np.float32)
    first[cut:], second[:cut] = 0, 0
    together = rig.shape(first + second) - rig.neutral
    np.testing.assert_allclose(together, rig.shape(first) + rig.shape(second) - 2 * rig.neutral, atol=1e-4)


def test_the_jaw_opens_downwards_and_leaves_the_upper_lip() -> None:
    jaw = change("jawOpen")
    assert jaw[CHIN, 1] < -1.0 and jaw[14, 1] < -1.0
    assert np.abs(jaw[[13, NOSE_TIP, FOREHEAD, 33, 263]]).max() < 1e-6
    closed = neutral_face() + jaw + change("mouthClose")
    assert closed[13, 1] - closed[14, 1] < 0.25 * (jaw[13, 1] - jaw[14, 1])
    assert change("jawLeft")[CHIN, 0] > 0.3 > -0.3 > change("jawRight")[CHIN, 0]
    assert change("jawForward")[CHIN, 2] > 0.3


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_mouth_corners_go_where_the_shape_says(side: str) -> None:
    corner, outward = CORNER[side], 1 if side == "Left" else -1
    smile, frown = change(f"mouthSmile{side}")[corner], change(f"mouthFrown{side}")[corner]
    assert smile[1] > 0.3 and smile[0] * outward > 0.2 and frown[1] < -0.3
    assert change(f"mouthStretch{side}")[corner, 0] * outward > 0.3
    assert change(f"mouthDimple{side}")[corner, 0] * outward > 0.2
    assert change("mouthPucker")[corner, 0] * outward < -0.4
    assert change(f"mouth{side}")[corner, 0] * outward > 0.4


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_a_blink_closes_its_eye_and_not_the_other(side: str) -> None:
    mirror = np.arange(LANDMARKS) if side == "Left" else mirror_indices()
    upper, lower = mirror[list(UPPER_LID)], mirror[list(LOWER_LID)]
    face = neutral_face()
    opening = face[upper, 1] - face[lower, 1]
    closed = face + change(f"eyeBlink{side}")
    assert np.abs(closed[upper, 1] - closed[lower, 1]).max() < 0.03 < opening.max()
    other = mirror_indices()[upper]
    assert np.abs(change(f"eyeBlink{side}")[other]).max() < 1e-6
    wide, squint = change(f"eyeWide{side}"), change(f"eyeSquint{side}")
    assert (wide[upper, 1] - wide[lower, 1]).max() > 0.1 > -0.1 > (squint[upper, 1] - squint[lower, 1]).min()


def test_brows_move_without_opening_or_closing_the_eyes() -> None:
    assert change("browInnerUp")[BROW_INNER["Left"], 1] > 0.3 and change("browDownLeft")[BROW_INNER["Left"], 1] < -0.3
    assert change("browOuterUpRight")[BROW_OUTER["Right"], 1] > 0.3
    for name in ("browInnerUp", "browDownLeft", "browOuterUpLeft"):
        opening = change(name)[list(UPPER_LID), 1] - change(name)[list(LOWER_LID), 1]
        assert np.abs(opening).max() < 0.12, name


def test_lips_and_tongue() -> None:
    assert change("mouthPucker")[13, 2] > 0.3 and change("mouthFunnel")[13, 2] > 0.2
    assert change("mouthRollLower")[17, 2] < 0 and change("mouthRollUpper")[0, 2] < 0
    assert change("mouthUpperUpLeft")[311, 1] > 0.2 and change("mouthLowerDownLeft")[402, 1] < -0.2
    assert change("mouthShrugLower")[14, 1] > 0.1 and change("mouthShrugUpper")[13, 1] > 0.1
    press = change("mouthPressLeft")
    assert press[0, 1] < 0 < press[17, 1]
    assert change("cheekPuff")[425, 2] > 0.2 and change("noseSneerLeft")[358, 1] > 0.1
    rig = builtin_rig()
    moved = rig.deltas[ARKIT_NAMES.index("tongueOut"), LANDMARKS:]
    tip = np.argmax(moved[:, 2])
    assert moved[tip, 2] > 1.5
    assert rig.neutral[LANDMARKS + tip, 2] + moved[tip, 2] > neutral_face()[13, 2]


def test_head_turns_as_the_axes_say() -> None:
    rig = builtin_rig()
    assert rig.pose(row(head_yaw_deg=15))[NOSE_TIP, 0] > 0.5
    assert rig.pose(row(head_pitch_deg=15))[NOSE_TIP, 1] < rig.neutral[NOSE_TIP, 1] - 0.5
    rolled = rig.pose(row(head_roll_deg=15))
    assert rolled[263, 1] > rolled[33, 1] + 1.0
    turned = rig.pose(row(head_yaw_deg=20, head_pitch_deg=-10, head_roll_deg=5))[:LANDMARKS]
    for a, b in ((33, 263), (10, 152), (4, 234)):
        before, after = (np.linalg.norm(v[a] - v[b]) for v in (rig.neutral, turned))
        assert after == pytest.approx(before, rel=1e-4)


def test_a_saved_rig_comes_back_and_equal_rigs_give_equal_bytes(tmp_path: Path) -> None:
    rig = builtin_rig()
    save_rig(rig, tmp_path / "a.npz")
    again = load_rig(tmp_path / "a.npz")
    save_rig(again, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    np.testing.assert_array_equal(again.deltas, rig.deltas)
    assert again.name == rig.name
    with pytest.raises(PermanentError, match="no rig at"):
        load_rig(tmp_path / "none.npz")


def test_the_same_motion_gives_the_same_picture(renderer: RigRenderer) -> None:
    motion = np.stack([row(), row(jawOpen=0.8), row()])
    first, second = list(renderer.render(motion)), list(renderer.render(motion))
    assert first[0].shape == (96, 96, 3) and first[0].dtype == np.uint8
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(first[0], first[2])


@pytest.mark.parametrize(
    ("motion", "landmarks"),
    [
        ({"jawOpen": 1.0}, (13, 14, 17)),
        ({"eyeBlinkLeft": 1.0}, UPPER_LID),
        ({"eyeLookOutLeft": 1.0}, (386, 374)),
        ({"browDown": 1.0}, (55, 285)),
        ({"tongueOut": 1.0}, (13, 14)),
    ],
)
def test_a_picture_changes_where_the_shape_is(
    renderer: RigRenderer, motion: dict[str, float], landmarks: tuple[int, ...]
) -> None:
    rest, moved = (renderer.frame(r).astype(int) for r in (row(), row(**motion)))
    difference = np.abs(moved - rest).sum(axis=2)
    y, x = np.nonzero(difference > 24)
    assert len(y) > 3
    places = project(builtin_rig().neutral[list(landmarks)], 96)
    distance = np.linalg.norm(np.stack([x, y], 1)[:, None] - places[None], axis=-1).min(axis=0)
    assert distance.min() < 4
    # The rest of the picture stands still: the top quarter holds the skull alone.
    assert difference[: int(project(builtin_rig().neutral[[FOREHEAD]], 96)[0, 1])].max() == 0


def test_every_shape_shows(renderer: RigRenderer) -> None:
    rest = renderer.frame(row()).astype(int)
    for name in ARKIT_NAMES:
        assert np.abs(renderer.frame(row(**{name: 1.0})).astype(int) - rest).max() > 8, name


def test_the_landmarks_are_points_to_measure_at_and_the_head_is_drawn_around_them() -> None:
    rig = builtin_rig()
    np.testing.assert_array_equal(rig.deltas[:, :LANDMARKS], face_deltas().astype(np.float32))
    assert rig.triangles.min() >= LANDMARKS
    drawn = drawn_part(rig)
    assert len(drawn.neutral) == len(rig.neutral) - LANDMARKS and len(drawn.triangles) == len(rig.triangles)
    low, high = drawn.neutral.min(axis=0), drawn.neutral.max(axis=0)
    # A head and not a mask: as deep as it is wide, with ears outside of the face and a neck below the picture.
    assert high[2] - low[2] > 15 and high[0] > 7.5 and low[1] < -15 and 10 < high[1] < 12.3


@pytest.mark.parametrize(("look", "axis", "sign"), [("Up", 1, 1), ("Down", 1, -1), ("Out", 0, 1), ("In", 0, -1)])
def test_an_eyeball_turns_where_it_looks(look: str, axis: int, sign: int) -> None:
    rig = builtin_rig()
    delta = rig.deltas[ARKIT_NAMES.index(f"eyeLook{look}Left")]
    pupil = np.flatnonzero((rig.colours == np.float32(PUPIL_COLOUR)).all(axis=1) & (rig.neutral[:, 0] > 0))
    assert len(pupil) and sign * delta[pupil, axis].mean() > 0.35
    assert not delta[(rig.neutral[:, 0] < -0.5)].any()


def test_subdivision_keeps_rims_apart_and_flat_things_flat() -> None:
    square = np.array([[0, 1, 2], [0, 2, 3]])
    fine = subdivided(square, 4, [(0, 1, 2, 3)], levels=2)
    assert fine.triangles.shape == (32, 3) and len(fine.loops[0]) == 16
    np.testing.assert_allclose(np.asarray(fine.matrix.sum(axis=1)).ravel(), 1.0)
    corners = np.array([[0.0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]])
    places = fine.matrix @ corners
    np.testing.assert_allclose(places[:, 2], 1.0)
    a, b, c = (places[fine.triangles[:, i]] for i in range(3))
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_a_sheet_shows_six_expressions_that_differ() -> None:
    size = 64
    sheet = rig_sheet(builtin_rig(), size)
    assert sheet.shape == (4 * size, 4 * size, 3)
    tiles = [sheet[y : y + size, x : x + size].astype(int) for y in (0, size) for x in range(0, 4 * size, size)][:7]
    # Apart from the title, every two of neutral and the six.
    for i, one in enumerate(tiles):
        for other in tiles[:i]:
            assert np.abs(one[12:] - other[12:]).max() > 40
