"""The speaker's part of large and small videos: which pixels, which person, what a frame depends on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_fixtures import astronaut, mirrored, need_embedded_weights, noise
from numpy.typing import NDArray

from magictalk_core.faces.detection import FaceDetector, load_face_detector
from magictalk_core.media.container import MediaError
from magictalk_core.media.encode import write_video
from magictalk_core.media.speaker import LARGE_PICTURE, SpeakerPicture, speaker_pictures, standardized_pictures


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    need_embedded_weights()
    return load_face_detector()


def _scene(*places: tuple[NDArray[np.uint8], int, int], width: int = 1280, height: int = 720) -> NDArray[np.uint8]:
    picture = np.full((height, width, 3), 90, np.uint8)
    for head, x, y in places:
        picture[y : y + head.shape[0], x : x + head.shape[1]] = head
    return picture


def _read(path: Path, frames: list[NDArray[np.uint8]], detector: FaceDetector) -> list[SpeakerPicture]:
    write_video(path, frames, 25, None)
    return list(speaker_pictures(path, 25, lambda: detector))


def test_a_small_picture_of_one_face_is_passed_on_whole(tmp_path: Path, detector: FaceDetector) -> None:
    seen = _read(tmp_path / "v.mp4", [astronaut()] * 3, detector)
    assert list(standardized_pictures(tmp_path / "v.mp4", 25))[2].rgb is not None, "and a standardized one unseen"
    assert [p.rgb is not None and p.rgb.shape for p in seen] == [(256, 256, 3)] * 3
    assert all(p.crop is None and (p.width, p.height) == (256, 256) for p in seen)


def test_a_large_picture_is_cut_to_its_face(tmp_path: Path, detector: FaceDetector) -> None:
    (seen, *_) = _read(tmp_path / "v.mp4", [_scene((astronaut(), 800, 300))] * 2, detector)
    assert seen.crop is not None and seen.rgb is not None
    assert max(seen.rgb.shape[:2]) <= LARGE_PICTURE and (seen.width, seen.height) == (1280, 720)
    (face,) = detector.detect(astronaut())
    x, y = 800 + face.x + face.width / 2, 300 + face.y + face.height / 2
    assert seen.crop.x + seen.crop.size / 2 == pytest.approx(x, abs=0.15 * seen.crop.size)
    assert seen.crop.y + seen.crop.size / 2 == pytest.approx(y, abs=0.15 * seen.crop.size)


def test_a_still_face_keeps_its_square_and_a_moving_one_is_followed(tmp_path: Path, detector: FaceDetector) -> None:
    still = _read(tmp_path / "a.mp4", [_scene((astronaut(), 500, 300))] * 11, detector)
    assert len({p.crop for p in still}) == 1
    moving = _read(tmp_path / "b.mp4", [_scene((astronaut(), 200 + 30 * i, 300)) for i in range(21)], detector)
    crops = [p.crop for p in moving]
    assert None not in crops
    assert crops[0] == crops[4] and crops[20].x - crops[0].x == pytest.approx(600, abs=60)  # type: ignore[union-attr]


def _twice(head: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(np.repeat(head, 2, axis=0), 2, axis=1)


def test_the_same_person_is_followed_past_a_larger_one(tmp_path: Path, detector: FaceDetector) -> None:
    left, larger = astronaut(), _twice(mirrored(astronaut()))
    frames = [_scene((left, 100, 300))] * 50 + [_scene((left, 100, 300), (larger, 700, 100))] * 10
    crops = [p.crop for p in _read(tmp_path / "v.mp4", frames, detector)]
    assert all(crop is not None and crop.x < 300 for crop in crops)


def test_somebody_else_is_shown_only_while_the_speaker_is_away(tmp_path: Path, detector: FaceDetector) -> None:
    left, other = (astronaut(), 100, 300), (mirrored(astronaut()), 800, 300)
    frames = [_scene(left)] * 50 + [_scene(other)] * 10 + [_scene(left, other)] * 10
    places = [p.crop.x for p in _read(tmp_path / "v.mp4", frames, detector) if p.crop is not None]
    assert [x > 400 for x in places] == [False] * 50 + [True] * 10 + [False] * 10


def test_frames_without_a_face_are_told_and_the_next_face_is_found_at_once(
    tmp_path: Path, detector: FaceDetector
) -> None:
    empty = _scene()
    seen = _read(tmp_path / "v.mp4", [empty] * 3 + [_scene((astronaut(), 500, 300))] * 4, detector)
    assert [p.rgb is None for p in seen] == [True] * 3 + [False] * 4


def test_what_came_long_before_does_not_matter(tmp_path: Path, detector: FaceDetector) -> None:
    head = [_scene((astronaut(), 100, 100))] * 10
    tail = [_scene((astronaut(), 800, 300))] * 10
    alone = _read(tmp_path / "a.mp4", tail, detector)
    after = _read(tmp_path / "b.mp4", [*head, *tail], detector)[10:]
    assert [p.crop for p in alone] == [p.crop for p in after]


def test_threads_decode_the_same_pictures(tmp_path: Path, detector: FaceDetector) -> None:
    frames = [_scene((astronaut(), 300 + 9 * i, 300)) for i in range(12)]
    one = _read(tmp_path / "v.mp4", frames, detector)
    two = list(speaker_pictures(tmp_path / "v.mp4", 25, lambda: detector, threads=2))
    assert all(np.array_equal(a.rgb, b.rgb) and a.crop == b.crop for a, b in zip(one, two, strict=True))


def test_no_picture_is_an_error(tmp_path: Path, detector: FaceDetector) -> None:
    (tmp_path / "v.mp4").write_bytes(noise().tobytes())
    with pytest.raises(MediaError):
        list(speaker_pictures(tmp_path / "v.mp4", 25, lambda: detector))
