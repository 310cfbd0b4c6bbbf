"""Laws of the animated portrait, told by marks painted into the picture: what must not be seen, is not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from magictalk_core.faces.face_mesh import load_face_mesh
from magictalk_core.faces.mesh import LEFT_EYE, LIPS_INNER, RIGHT_EYE
from magictalk_core.portrait.animator import PortraitAnimator
from magictalk_core.portrait.face import find_face
from magictalk_core.portrait.neutral import bring_to_rest
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.sample_corpus.portraits import SPEAKERS, speaker_portrait
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from tests.face_fixtures import astronaut, need_embedded_weights

SIZE = 384
GREEN = (20, 230, 40)
STRAY = 4
"""Pixels of a mark that may be left where a picture's edges are soft, of some hundreds."""
Portrait = tuple[NDArray[np.uint8], NDArray[np.float32]]


def row(**weights: float) -> NDArray[np.float32]:
    values = np.zeros(len(MOTION_NAMES), np.float32)
    for name, weight in weights.items():
        for each in [name] if name in MOTION_NAMES else [f"{name}Left", f"{name}Right"]:
            values[MOTION_NAMES.index(each)] = weight
    return values


def greens(picture: NDArray[np.uint8]) -> int:
    """Pixels in which the mark is seen."""
    red, green, blue = (picture[..., k].astype(int) for k in range(3))
    return int(((green > red + 50) & (green > blue + 50)).sum())


def marked(portrait: Portrait, *loops: tuple[int, ...]) -> Portrait:
    """The portrait with what lies within loops of landmarks painted green, its outline left out."""
    picture, mask = portrait[0].copy(), np.zeros(portrait[0].shape[:2], np.uint8)
    for loop in loops:
        cv2.fillPoly(mask, [np.round(portrait[1][list(loop), :2]).astype(np.int32)], 1)
    # Filled polygons have their outline, which lies on lids and lips.
    picture[cv2.erode(mask, np.ones((3, 3), np.uint8)) > 0] = GREEN
    return picture, portrait[1]


@cache
def smiling() -> Portrait:
    """A face that smiles with its teeth showing, enlarged."""
    need_embedded_weights()
    face = find_face(np.asarray(cv2.resize(astronaut(), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), np.uint8))
    return face.rgb, face.landmarks


@pytest.fixture
def opened() -> Iterator[list[PortraitAnimator]]:
    held: list[PortraitAnimator] = []
    yield held
    for animator in held:
        animator.close()


def animated(held: list[PortraitAnimator], portrait: Portrait) -> PortraitAnimator:
    held.append(PortraitAnimator(*portrait, builtin_rig(), SIZE, crop=False))
    return held[-1]


def test_a_smile_with_teeth_closes(opened: list[PortraitAnimator]) -> None:
    portrait = marked(smiling(), LIPS_INNER)
    assert greens(portrait[0]) > 200
    animator = animated(opened, portrait)
    assert greens(animator.frame(row())) <= STRAY, "at rest"
    assert greens(animator.frame(row(mouthSmile=0.8, mouthPress=0.4))) <= STRAY, "a smile with closed lips"
    assert greens(animator.frame(row(mouthFrown=0.6, browDown=0.8))) <= STRAY


def test_lips_are_sealed_at_m_b_and_p_wherever_the_jaw_is(opened: list[PortraitAnimator]) -> None:
    """What is dark between open lips is not there between pressed ones."""
    animator = animated(opened, speaker_portrait("W903"))
    mouth = animator.landmarks[list(LIPS_INNER), :2]
    (left, top), (right, bottom) = mouth.min(axis=0).astype(int), mouth.max(axis=0).astype(int)
    part = slice(top - 8, bottom + 40), slice(left, right)

    def dark(**weights: float) -> int:
        return int((animator.frame(row(**weights))[part].mean(axis=2) < 35).sum())

    closed = dark()
    assert dark(jawOpen=0.3) > closed + 150
    for jaw in (0.0, 0.15, 0.3):
        assert dark(jawOpen=jaw, mouthPress=0.45, mouthRollLower=0.3, mouthRollUpper=0.2) <= closed + STRAY


@pytest.mark.parametrize("speaker", sorted(SPEAKERS))
def test_a_face_at_rest_stays_as_it_is(speaker: str) -> None:
    picture, landmarks = speaker_portrait(speaker)
    rested = bring_to_rest(picture, landmarks)
    assert rested.mouth_share == 0.0 and rested.teeth is None
    np.testing.assert_array_equal(rested.picture, picture)
    assert np.abs(rested.landmarks - landmarks).max() < 0.03 * SIZE, "only the edges of the lips find each other"


def test_rest_is_reached_at_once() -> None:
    rested = bring_to_rest(*smiling())
    assert rested.mouth_share == 1.0 and rested.teeth is not None
    again = bring_to_rest(rested.picture, rested.landmarks)
    assert again.mouth_share < 0.1
    seen = load_face_mesh().find(rested.picture)
    assert seen is not None and bring_to_rest(rested.picture, seen.landmarks).mouth_share < 0.5, "seen anew"


def test_closed_lids_leave_no_iris(opened: list[PortraitAnimator]) -> None:
    animator = animated(opened, marked(speaker_portrait("W901"), LEFT_EYE, RIGHT_EYE))
    counts = [greens(animator.frame(row(eyeBlink=blink))) for blink in (0.0, 0.3, 0.6, 0.9, 1.0)]
    assert counts[0] > 150 and counts[-1] <= STRAY and counts == sorted(counts, reverse=True)
    assert greens(animator.frame(row(eyeBlink=1.0, eyeWide=0.2, browInnerUp=0.5, eyeLookUp=0.4))) < 0.05 * counts[0]


def test_the_mouth_opens_with_the_jaw(opened: list[PortraitAnimator]) -> None:
    """As the face mesh sees it in the output."""
    need_embedded_weights()
    animator, mesh, gaps = animated(opened, speaker_portrait("W901")), load_face_mesh(), []
    for jaw in np.linspace(0, 0.9, 7):
        seen = mesh.find(animator.frame(row(jawOpen=float(jaw))))
        assert seen is not None
        gaps.append(float(np.linalg.norm(seen.landmarks[13, :2] - seen.landmarks[14, :2])))
    assert all(b > a for a, b in pairwise(gaps)) and gaps[-1] > gaps[0] + 20


def test_frames_are_the_same_every_time(opened: list[PortraitAnimator]) -> None:
    rows = [row(jawOpen=0.4, mouthSmile=0.3), row(eyeBlink=0.7, browDown=0.8), row()]
    one, other = (animated(opened, speaker_portrait("W902")) for _ in range(2))
    first = [one.frame(r) for r in rows]
    for r, frame in zip(reversed(rows), reversed(first), strict=True):
        np.testing.assert_array_equal(other.frame(r), frame)
