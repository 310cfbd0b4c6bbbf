"""The animated portrait: still at rest, alive when moved, and whole beside another renderer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from magictalk_core.portrait.animator import PortraitAnimator, crop_to_face
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.render import RigRenderer
from magictalk_core.sample_corpus.portraits import PORTRAIT_SIZE, speaker_portrait
from magictalk_core.vocabulary.arkit import MOTION_NAMES


def row(**weights: float) -> NDArray[np.float32]:
    values = np.zeros(len(MOTION_NAMES), np.float32)
    for name, weight in weights.items():
        for each in [name] if name in MOTION_NAMES else [f"{name}Left", f"{name}Right"]:
            values[MOTION_NAMES.index(each)] = weight
    return values


@pytest.fixture(scope="module")
def speaker() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    return speaker_portrait("W901")


@pytest.fixture(scope="module")
def animator(speaker: tuple[NDArray[np.uint8], NDArray[np.float32]]) -> Iterator[PortraitAnimator]:
    made = PortraitAnimator(*speaker, builtin_rig(), PORTRAIT_SIZE, crop=False)
    yield made
    made.close()


def around(points: NDArray[np.float32], indices: tuple[int, ...], margin: int) -> tuple[slice, slice]:
    low = points[list(indices), :2].min(axis=0).astype(int) - margin
    high = points[list(indices), :2].max(axis=0).astype(int) + margin
    return slice(low[1], high[1]), slice(low[0], high[0])


def change(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.abs(a.astype(float) - b.astype(float)).mean(axis=2)


def test_at_rest_it_is_the_portrait(animator: PortraitAnimator) -> None:
    error = change(animator.frame(row()), animator.portrait)
    assert 10 * np.log10(255**2 / max((error**2).mean(), 1e-9)) > 35


def test_relative_motion_leaves_the_portraits_own_expression(animator: PortraitAnimator) -> None:
    smiling = row(mouthSmile=0.6, jawOpen=0.2)
    (frame,) = animator.render(smiling[None], smiling)
    np.testing.assert_array_equal(frame, animator.frame(row()))
    lost = np.full((1, len(MOTION_NAMES)), np.nan, np.float32)
    np.testing.assert_array_equal(next(animator.render(lost)), animator.frame(row()))


def test_an_open_mouth_shows_its_inside_and_the_eyes_stay(animator: PortraitAnimator) -> None:
    rest, opened = animator.frame(row()), animator.frame(row(jawOpen=0.7))
    mouth, eyes = around(animator.landmarks, (61, 291, 13, 14), 14), around(animator.landmarks, (33, 263), 8)
    assert change(rest, opened)[mouth].mean() > 15 and change(rest, opened)[eyes].max() < 3
    dark, light = opened[mouth].mean(axis=2).min(), opened[mouth].mean(axis=2).max()
    assert dark < 60 and light > 120, "the hole of the mouth and the teeth"
    small = animator.frame(row(jawOpen=0.35))
    assert change(rest, small)[mouth].mean() < change(rest, opened)[mouth].mean()


def test_a_blink_covers_the_iris_and_nothing_else(animator: PortraitAnimator) -> None:
    rest, closed = animator.frame(row()), animator.frame(row(eyeBlink=1.0))
    eye = around(animator.landmarks, (159, 145, 158, 153), 2)
    assert change(rest, closed)[eye].mean() > 25
    assert change(rest, closed)[around(animator.landmarks, (61, 291), 5)].max() < 3


def test_the_head_turns_and_the_background_stays(animator: PortraitAnimator) -> None:
    rest, turned = animator.frame(row()), animator.frame(row(head_yaw_deg=8))
    nose = around(animator.landmarks, (1, 4, 5), 6)
    assert change(rest, turned)[nose].mean() > 4
    assert change(rest, turned)[:12, :12].max() < 3


def test_two_renderers_in_one_process_do_not_draw_into_each_other(
    speaker: tuple[NDArray[np.uint8], NDArray[np.float32]],
) -> None:
    rows = [row(jawOpen=0.1 * i) for i in range(4)]
    rig = RigRenderer(builtin_rig(), 96)
    alone = [rig.frame(r) for r in rows]
    portrait = PortraitAnimator(*speaker, builtin_rig(), 128)
    alone_too = [portrait.frame(r) for r in rows]
    for r, a, b in zip(rows, alone, alone_too, strict=True):
        np.testing.assert_array_equal(rig.frame(r), a)
        np.testing.assert_array_equal(portrait.frame(r), b)
    portrait.close()
    np.testing.assert_array_equal(rig.frame(rows[2]), alone[2])
    rig.close()


def test_a_crop_keeps_the_face_in_the_middle(speaker: tuple[NDArray[np.uint8], NDArray[np.float32]]) -> None:
    wide = np.zeros((PORTRAIT_SIZE, PORTRAIT_SIZE * 3, 3), np.uint8)
    wide[:, PORTRAIT_SIZE : 2 * PORTRAIT_SIZE] = speaker[0]
    points = speaker[1] + np.array([PORTRAIT_SIZE, 0, 0], np.float32)
    picture, moved = crop_to_face(wide, points, 200)
    assert picture.shape == (200, 200, 3)
    middle = moved[:, :2].mean(axis=0)
    assert abs(middle[0] - 100) < 15 and abs(middle[1] - 100) < 30
    assert np.ptp(moved[:, 1]) == pytest.approx(200 / 1.75, rel=0.2)
