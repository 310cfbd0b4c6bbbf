"""Which face of a portrait is taken, how it is turned upright, and what is said of a face that will not look well."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.portrait.face import find_face
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
