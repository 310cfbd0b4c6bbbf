"""Which face of a portrait is taken, how it is turned upright, and what is said of a face that will not look well."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from magictalk_core.commands.untrusted import picture_of
from magictalk_core.errors import UserError
from magictalk_core.faces.face_mesh import MeshResult
from magictalk_core.faces.head_pose import rotation_of
from magictalk_core.faces.mesh import LIPS_OUTER
from magictalk_core.faces.solver import neutral_face
from magictalk_core.portrait.face import find_face, remarks_of
from tests.face_fixtures import astronaut, mirrored, need_embedded_weights, noise, turned


@pytest.fixture(autouse=True)
def _weights() -> None:
    need_embedded_weights()


def _enlarged(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture, None, fx=factor, fy=factor), np.uint8)


def _two_people() -> NDArray[np.uint8]:
    """The right one is larger."""
    picture = np.full((384, 768, 3), 120, np.uint8)
    picture[100:356, 40:296] = mirrored(astronaut())
    picture[:, 384:] = _enlarged(astronaut(), 1.5)
    return picture


def test_one_face_needs_no_word() -> None:
    seen = find_face(_enlarged(astronaut(), 1.5))
    assert (seen.number, seen.of, seen.warnings) == (1, 1, ())
    assert str(seen).startswith("1 of 1, ") and str(seen).endswith(" px wide, middle")


def test_of_two_people_the_largest_is_taken_and_that_is_said() -> None:
    seen = find_face(_two_people())
    assert str(seen).startswith("1 of 2, ") and str(seen).endswith(", right")
    assert seen.landmarks[:, 0].min() > 384
    assert seen.warnings[0] == "2 faces, the largest is taken: --face 2 takes the next one"


def test_the_number_chooses() -> None:
    first, second = find_face(_two_people(), 1), find_face(_two_people(), 2)
    assert first.landmarks[:, 0].min() > 384 > second.landmarks[:, 0].max()
    assert not [said for said in (*first.warnings, *second.warnings) if "--face" in said], "who chose knows"
    with pytest.raises(UserError, match=r"^--face 3: the picture has 2, the largest is --face 1"):
        find_face(_two_people(), 3)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_face_that_does_not_stand_upright_is_turned(turns: int) -> None:
    upright = find_face(astronaut()).landmarks
    seen = find_face(np.ascontiguousarray(np.rot90(astronaut(), turns)))
    np.testing.assert_allclose(seen.landmarks[:, :2], upright[:, :2], atol=1.0)
    np.testing.assert_array_equal(seen.rgb, astronaut())
    assert "did not stand upright: the picture is turned" in seen.warnings[0]


def _cut_off() -> NDArray[np.uint8]:
    """Without what lies right of the middle of the left eye."""
    right = int(find_face(astronaut()).landmarks[:, 0].max())
    return np.ascontiguousarray(astronaut()[:, : right - 8])


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (lambda: turned(astronaut(), 30), "the head is turned, roll 2"),
        (lambda: cv2.resize(astronaut(), (64, 64), interpolation=cv2.INTER_AREA), "px wide, fewer than 100"),
        (_cut_off, "the face touches the border (right)"),
    ],
    ids=["tilted", "small", "cut off"],
)
def test_what_will_not_look_well_is_said(picture: object, says: str) -> None:
    seen = find_face(picture())  # type: ignore[operator]
    assert [said for said in seen.warnings if says in said], seen.warnings
    assert not [said for said in find_face(_enlarged(astronaut(), 1.5)).warnings if says in said]


def test_no_face() -> None:
    with pytest.raises(UserError, match=r"^no face found; expected a picture with one face"):
        find_face(noise())


def test_a_covered_mouth_is_said() -> None:
    picture = _enlarged(astronaut(), 1.5)
    low, high = (f(find_face(picture).landmarks[list(LIPS_OUTER), :2], axis=0).astype(int) for f in (np.min, np.max))
    picture[low[1] - 25 : high[1] + 25, low[0] - 30 : high[0] + 30] = (70, 110, 140)
    assert [said for said in find_face(picture).warnings if said.startswith("the mouth does not stand out")]


@pytest.mark.parametrize(("yaw", "says"), [(20, ""), (40, "the head is turned, yaw"), (65, "a profile, yaw")])
def test_a_profile_is_said(yaw: float, says: str) -> None:
    turned_head = neutral_face() @ rotation_of(0, yaw, 0).T * 12 * [1, -1, -1] + [150, 150, 0]
    grey = np.full((300, 300, 3), 128, np.uint8)
    found = [said for said in remarks_of(MeshResult(turned_head.astype(np.float32), 1.0), grey) if "yaw" in said]
    assert [said.startswith(says) for said in found] == ([True] if says else [])


def test_an_animal_is_moved_with_a_word_and_a_cartoon_is_refused(shared: Path) -> None:
    folder = shared / "samples" / "portraits"
    dog = find_face(picture_of(folder / "animal_dog_false_positive.jpg").rgb)
    assert dog.warnings[0].startswith("hardly the face of a person: confidence 0.8")
    with pytest.raises(UserError, match=r"^no face found"):
        find_face(picture_of(folder / "negative_llama_cartoon.jpg").rgb)
