"""The detector and the 468 landmarks on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from face_fixtures import astronaut, mirrored, need_embedded_weights, noise, turned

from magictalk_core.faces.detection import FaceDetector, load_face_detector
from magictalk_core.faces.face_box import FaceBox, choose_face
from magictalk_core.faces.landmarks import portrait_landmarks
from magictalk_core.faces.solver import neutral_face


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    need_embedded_weights()
    return load_face_detector()


def test_a_face_is_found_with_its_keypoints_in_place(detector: FaceDetector) -> None:
    (face,) = detector.detect(astronaut())
    right_eye, left_eye, nose, mouth, right_ear, left_ear = face.keypoints
    assert face.score > 0.8
    assert right_ear[0] < right_eye[0] < nose[0] < left_eye[0] < left_ear[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < mouth[1]
    assert face.x < right_eye[0] and left_eye[0] < face.x + face.width


def test_noise_and_blank_pictures_show_no_face(detector: FaceDetector) -> None:
    assert detector.detect(noise()) == []
    assert detector.detect(np.zeros((1080, 1920, 3), np.uint8)) == []


def test_a_mirrored_picture_gives_the_mirrored_box(detector: FaceDetector) -> None:
    face, other = detector.detect(astronaut())[0], detector.detect(mirrored(astronaut()))[0]
    assert 256 - (other.x + other.width) == pytest.approx(face.x, abs=0.06 * face.width)
    assert other.y == pytest.approx(face.y, abs=0.06 * face.width)


def test_a_small_face_in_a_large_picture_is_found_in_a_tile(detector: FaceDetector) -> None:
    picture = np.full((1080, 1920, 3), 90, np.uint8)
    picture[700:956, 1500:1756] = astronaut()
    (small,) = detector.detect(picture)
    (face,) = detector.detect(astronaut())
    assert small.x - 1500 == pytest.approx(face.x, abs=0.2 * face.width)
    assert small.y - 700 == pytest.approx(face.y, abs=0.2 * face.width)
    assert small.width == pytest.approx(face.width, rel=0.25)


def test_overlapping_detections_become_one_and_two_faces_stay_two(detector: FaceDetector) -> None:
    both = np.concatenate([astronaut(), mirrored(astronaut())], axis=1)
    faces = detector.detect(both)
    assert len(faces) == 2
    assert [f.score for f in faces] == sorted((f.score for f in faces), reverse=True)


def test_the_chosen_face_is_large_sure_and_central() -> None:
    def face(x: float, side: float, score: float) -> FaceBox:
        return FaceBox(x - side / 2, 100 - side / 2, side, side, score, np.zeros((6, 2), np.float32))

    central, aside, small, unsure = face(100, 60, 0.9), face(20, 60, 0.9), face(100, 20, 0.99), face(100, 60, 0.5)
    assert choose_face([aside, small, unsure, central], 200, 200) is central
    assert choose_face([], 200, 200) is None


def test_landmarks_of_a_portrait_lie_on_the_face(detector: FaceDetector) -> None:
    points = portrait_landmarks(astronaut())
    assert points is not None and points.shape == (468, 3) and points.dtype == np.float32
    (face,) = detector.detect(astronaut())
    eyes = (points[[33, 133], :2].mean(axis=0), points[[362, 263], :2].mean(axis=0))
    for eye, keypoint in zip(eyes, face.keypoints[:2], strict=True):
        assert np.linalg.norm(eye - keypoint) < 0.06 * face.width
    # The nose points to the camera: z towards away.
    assert points[1, 2] < points[[234, 454], 2].min()


def test_landmarks_follow_a_turned_picture(detector: FaceDetector) -> None:
    upright, found = portrait_landmarks(astronaut()), portrait_landmarks(turned(astronaut(), 20))
    assert upright is not None and found is not None
    a = np.deg2rad(-20)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    expected = (upright[:, :2] - 127.5) @ turn.T + 127.5
    eyes = np.linalg.norm(upright[33, :2] - upright[263, :2])
    assert np.linalg.norm(found[:, :2] - expected, axis=1).mean() < 0.03 * eyes


def test_mirrored_landmarks_are_the_mirror_of_the_landmarks(detector: FaceDetector) -> None:
    face, other = portrait_landmarks(astronaut()), portrait_landmarks(mirrored(astronaut()))
    assert face is not None and other is not None
    neutral = neutral_face()
    pairs = ((neutral[:, None] - neutral[None] * [-1, 1, 1]) ** 2).sum(-1).argmin(axis=1)
    back = np.column_stack([255 - other[pairs, 0], other[pairs, 1]])
    eyes = np.linalg.norm(face[33, :2] - face[263, :2])
    assert np.linalg.norm(back - face[:, :2], axis=1).mean() < 0.04 * eyes


def test_a_picture_without_a_face_has_no_landmarks(detector: FaceDetector) -> None:
    assert portrait_landmarks(noise()) is None


@pytest.mark.shared
@pytest.mark.parametrize("name", ["animal_dog_false_positive.jpg", "negative_llama_cartoon.jpg"])
def test_animals_are_no_portraits(detector: FaceDetector, shared: object, name: str) -> None:
    from magictalk_core.portrait.picture import read_picture

    assert portrait_landmarks(read_picture(shared / "samples" / "portraits" / name).rgb) is None  # type: ignore[operator]


@pytest.mark.shared
def test_every_portrait_of_a_person_has_landmarks(detector: FaceDetector, shared: object) -> None:
    from magictalk_core.portrait.picture import read_picture

    pictures = sorted((shared / "samples" / "portraits").glob("[ps]*_*"))  # type: ignore[operator]
    assert len(pictures) >= 6
    assert [p.name for p in pictures if portrait_landmarks(read_picture(p).rgb) is None] == []
