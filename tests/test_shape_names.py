"""Which names mean an ARKit shape, and which do not."""

from __future__ import annotations

import pytest

from magictalk_core.rig.shape_names import match_shapes, missing_shapes, named_few
from magictalk_core.vocabulary.arkit import ARKIT_NAMES


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("jawOpen", "jawOpen"), ("JawOpen", "jawOpen"), ("JAW_OPEN", "jawOpen"), ("jaw-open", "jawOpen"),
        ("Jaw Open", "jawOpen"), ("blendShape1.jawOpen", "jawOpen"), ("head_geo|jawOpen", "jawOpen"),
        ("ns:head_jawOpen", "jawOpen"), ("A25_Jaw_Open", "jawOpen"), ("01jawOpen", "jawOpen"),
        ("jawOpen.001", "jawOpen"), ("jawOpenShape", "jawOpen"), ("CC_Base_Body.Jaw_Open", "jawOpen"),
        ("eyeBlink_L", "eyeBlinkLeft"), ("eyeBlinkR", "eyeBlinkRight"), ("EyeBlink.l", "eyeBlinkLeft"),
        ("eye_blink_left", "eyeBlinkLeft"), ("L_eyeBlink", "eyeBlinkLeft"), ("left_eye_blink", "eyeBlinkLeft"),
        ("mouth_R", "mouthRight"), ("mouthLeft", "mouthLeft"), ("jaw_L", "jawLeft"),
        ("head.eyeLookIn_R", "eyeLookInRight"), ("brow_outer_up_l", "browOuterUpLeft"),
    ],
)  # fmt: skip
def test_names_that_mean_a_shape(name: str, shape: str) -> None:
    assert match_shapes(["other", name]) == {shape: 1}


@pytest.mark.parametrize(
    "name",
    [
        "mouthOpen",
        "mouthSmile",
        "browInnerUp_L",
        "jawOpen_L",
        "L_jawOpen",
        "viseme_aa",
        "eyesLookUp",
        "jawOpener",
        "",
        "é",
    ],
)
def test_names_that_mean_something_else(name: str) -> None:
    assert match_shapes([name]) == {}


def test_all_names_are_their_own_and_the_plainest_wins() -> None:
    assert list(match_shapes(ARKIT_NAMES)) == list(ARKIT_NAMES)
    assert match_shapes(["teeth.jawOpen", "tongue.jawOpen", "jawOpen"]) == {"jawOpen": 2}
    assert match_shapes(["jawOpen", "jawOpen.001"]) == {"jawOpen": 0}
    with pytest.raises(ValueError, match=r"teeth\.jawOpen and tongue\.jawOpen both mean jawOpen"):
        match_shapes(["teeth.jawOpen", "tongue.jawOpen"])


def test_what_is_missing_and_long_lists() -> None:
    assert missing_shapes({"jawOpen": 0}) == [name for name in ARKIT_NAMES if name != "jawOpen"]
    assert named_few([f"n{i}" for i in range(14)]).endswith("n11 and 2 more")
