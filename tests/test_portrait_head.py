"""The head around the face: cut out of its background, turned as one, in the frame that the user gave it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from magictalk_core.commands.untrusted import picture_of
from magictalk_core.faces.person_mask import load_person_mask
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.face import find_face
from magictalk_core.portrait.idle import idle_motion
from magictalk_core.portrait.layers import Atlas
from magictalk_core.portrait.matte import WholeHead, cut_out, whole_head
from magictalk_core.portrait.neutral import bring_to_rest
from magictalk_core.portrait.scene import Crop, Scene
from magictalk_core.portrait.surroundings import moving_area
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.sample_corpus.portraits import PORTRAIT_SIZE, speaker_portrait
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from tests.face_fixtures import astronaut, need_embedded_weights

Picture = NDArray[np.uint8]


def row(**values: float) -> NDArray[np.float32]:
    found = np.zeros(len(MOTION_NAMES), np.float32)
    for name, value in values.items():
        found[MOTION_NAMES.index(name)] = value
    return found


@cache
def speaker() -> tuple[Picture, NDArray[np.float32], WholeHead]:
    """A head of much hair before a plain background."""
    need_embedded_weights()
    picture, landmarks = speaker_portrait("W901")
    return picture, landmarks, whole_head(load_person_mask(), picture, landmarks)


def change(one: Picture, other: Picture) -> NDArray[np.float64]:
    return np.abs(one.astype(float) - other.astype(float)).mean(axis=2)


def test_a_person_is_told_from_the_background() -> None:
    picture, landmarks, head = speaker()
    assert head.person is not None and head.person.shape == picture.shape[:2]
    nose = landmarks[4, :2].astype(int)
    assert head.person[nose[1], nose[0]] > 250 and head.person[:20, :20].max() < 10


def test_what_is_no_person_is_not_cut_out(shared: Path) -> None:
    dog = find_face(picture_of(shared / "samples/portraits/animal_dog_false_positive.jpg").rgb)
    assert whole_head(load_person_mask(), dog.rgb, dog.landmarks).person is None


def test_both_sheets_on_each_other_are_the_picture() -> None:
    picture, landmarks, head = speaker()
    assert head.person is not None
    sheets = cut_out(picture, head.person, landmarks)
    opacity = sheets.person[..., 3:] / 255
    together = sheets.person[..., :3] + (1 - opacity) * sheets.behind
    assert np.abs(together - picture).mean() < 0.5
    face = landmarks[4, :2].astype(int)
    assert change(sheets.behind, picture)[face[1], face[0]] > 20, "the face is not behind itself"


def test_the_head_turns_as_one_before_its_background() -> None:
    picture, landmarks, head = speaker()
    picture = np.maximum(picture, 20)  # a tear would show the canvas, which is black
    animator = PortraitAnimator(picture, landmarks, builtin_rig(), crop=False, head=head)
    try:
        rest = animator.frame(row())
        assert change(rest, animator.portrait).mean() < 1.0
        for turn in ({"head_yaw_deg": 20}, {"head_yaw_deg": -20}, {"head_pitch_deg": 15}, {"head_roll_deg": 20}):
            turned = animator.frame(row(**turn))
            top = landmarks[10, :2].astype(int)
            hair = slice(top[1] - 45, top[1] - 5), slice(top[0] - 40, top[0] + 40)
            assert change(rest, turned)[hair].mean() > 4, "hair goes along"
            assert change(rest, turned)[:15, :15].max() < 2, "the wall stays"
            assert int((turned.max(axis=2) < 8).sum()) == 0
        breathed = animator.frame(row(), breath_cm=0.3)
        shoulders = slice(PORTRAIT_SIZE - 60, PORTRAIT_SIZE - 20), slice(120, 260)
        assert change(rest, breathed)[shoulders].mean() > 0.3 and change(rest, breathed)[:15, :15].max() < 2
    finally:
        animator.close()


def test_a_head_without_a_mask_turns_too() -> None:
    picture, landmarks, _ = speaker()
    animator = PortraitAnimator(picture, landmarks, builtin_rig(), crop=False, head=WholeHead(None))
    try:
        rest, turned = animator.frame(row()), animator.frame(row(head_yaw_deg=12))
        nose = landmarks[4, :2].astype(int)
        assert change(rest, animator.portrait).mean() < 0.3
        assert change(rest, turned)[nose[1] - 8 : nose[1] + 8, nose[0] - 8 : nose[0] + 8].mean() > 3
    finally:
        animator.close()


@pytest.mark.parametrize("shape", [(701, 1003), (903, 421)], ids=["wide", "high"])
def test_a_kept_picture_is_redrawn_where_something_moves_alone(shape: tuple[int, int]) -> None:
    small, points, head = speaker()
    assert head.person is not None
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (*shape, 3), np.uint8)
    person = np.zeros(shape, np.uint8)
    left, top = (shape[1] - PORTRAIT_SIZE) // 2, 90
    inside = slice(top, top + PORTRAIT_SIZE), slice(left, left + PORTRAIT_SIZE)
    picture[inside], person[inside] = small, head.person
    landmarks = points + np.array([left, top, 0], np.float32)
    scene = Scene(picture, landmarks, builtin_rig(), Crop.KEEP, 1024, WholeHead(person))
    try:
        (frame,) = scene.render(np.stack([row(head_yaw_deg=10, jawOpen=0.5)]))
    finally:
        scene.close()
    height, width = shape[0] - shape[0] % 2, shape[1] - shape[1] % 2
    assert frame.shape == (height, width, 3) and (scene.width, scene.height) == (width, height)
    (x, y), (right, bottom) = moving_area(landmarks, width, height)
    still = np.ones((height, width), bool)
    still[y:bottom, x:right] = False
    np.testing.assert_array_equal(frame[still], picture[:height, :width][still])
    assert change(frame, picture[:height, :width])[inside].mean() > 1
    # No seam: the area's own border has not moved.
    border = np.zeros((height, width), bool)
    border[y:bottom, x:right] = True
    border[y + 2 : bottom - 2, x + 2 : right - 2] = False
    assert np.median(change(frame, picture[:height, :width])[border]) < 2


def test_a_large_picture_is_reduced_and_a_small_one_is_not_enlarged() -> None:
    picture, landmarks, head = speaker()
    for size, expected in ((200, (200, 200)), (1024, (PORTRAIT_SIZE, PORTRAIT_SIZE))):
        scene = Scene(picture, landmarks, builtin_rig(), Crop.KEEP, size, head)
        scene.close()
        assert (scene.width, scene.height) == expected


def test_an_idle_head_is_a_function_of_its_seed() -> None:
    long, short, other = idle_motion(500, 25.0, 3), idle_motion(100, 25.0, 3), idle_motion(100, 25.0, 4)
    np.testing.assert_array_equal(long.motion[:100], short.motion)
    np.testing.assert_array_equal(long.breath_cm[:100], short.breath_cm)
    assert np.abs(other.motion - short.motion).max() > 0.05
    assert 0.2 < np.abs(long.motion).max() < 3 and np.abs(np.diff(long.motion, axis=0)).max() < 0.2, "degrees a frame"
    assert 0.1 < np.abs(long.breath_cm).max() < 0.3


def test_a_laugh_of_the_eyes_is_taken_off_and_narrow_eyes_are_not() -> None:
    need_embedded_weights()
    seen = find_face(np.asarray(cv2.resize(astronaut(), (384, 384), interpolation=cv2.INTER_CUBIC), np.uint8))
    squinting = seen.landmarks.copy()
    for upper, lower in ((159, 145), (386, 374)):
        middle = (squinting[upper, 1] + squinting[lower, 1]) / 2
        squinting[[upper, lower], 1] = middle + (squinting[[upper, lower], 1] - middle) * 0.5
    squint = [MOTION_NAMES.index(f"eyeSquint{side}") for side in ("Left", "Right")]
    assert bring_to_rest(seen.rgb, squinting).own[squint].min() > 0.4
    assert bring_to_rest(seen.rgb, seen.landmarks).own[squint].max() < 0.1, "she smiles with open eyes"
    picture, landmarks, _ = speaker()
    assert not bring_to_rest(picture, landmarks).own.any()


def test_what_is_not_there_has_no_colour() -> None:
    atlas = Atlas(64)
    atlas.add(np.full((4, 4, 4), (200, 100, 50, 128), np.uint8))
    clean = atlas.multiplied()
    np.testing.assert_array_equal(clean[..., 3], atlas.pixels[..., 3])
    assert (clean[..., :3] <= clean[..., 3:]).all() and clean[4, 12].tolist() == [100, 50, 25, 128]
