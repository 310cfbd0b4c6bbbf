"""One way to the speaker for `extract` and for the corpora: who it is, and which way up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from face_fixtures import astronaut, mirrored, need_embedded_weights, turned
from media_fixtures import mark_rotation
from numpy.typing import NDArray

from magictalk_core.commands.extract import extract_file
from magictalk_core.config import MediaConfig, QualityConfig
from magictalk_core.faces.detection import FaceDetector, load_face_detector
from magictalk_core.faces.extract import DOUBTED, TURNED, extract_video
from magictalk_core.faces.tracker import Tracker, geometric_tracker
from magictalk_core.media.crop import Window, follow_speaker
from magictalk_core.media.encode import write_video
from magictalk_core.media.speaker import SpeakerPicture, speaker_pictures
from magictalk_core.media.standardize import standardize_clip
from magictalk_core.preparation.gates import decide
from magictalk_core.storage.parquet import table_metadata
from magictalk_core.vocabulary.clips import Reason
from tests.media_fixtures import FakeBox

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    need_embedded_weights()
    return load_face_detector()


@pytest.fixture(scope="module")
def geometric() -> Tracker:
    need_embedded_weights()
    return geometric_tracker()


def _nodding(frames: int = 15, side: int = 256, roll: float = 0.0) -> Iterator[Picture]:
    """A head that tilts a little, so that no two frames are equal."""
    for i in range(frames):
        yield cv2.resize(turned(astronaut(), roll + 3 * np.sin(i / 2)), (side, side))  # type: ignore[misc]


def _video(path: Path, frames: Iterator[Picture] | list[Picture]) -> Path:
    write_video(path, list(frames), 25, np.sin(np.arange(16000) / 10).astype(np.float32) / 2)
    return path


def _both(video: Path, detector: FaceDetector) -> tuple[dict[str, Any], list[SpeakerPicture]]:
    """What the corpus path and `extract` make of a video."""
    row = standardize_clip(video, None, None, None, video.parent / "out", "a", MediaConfig(), lambda: detector)
    return row, list(speaker_pictures(video, 25, lambda: detector))


@pytest.mark.thinned(3)
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_picture_on_its_side_is_turned_upright(
    tmp_path: Path, detector: FaceDetector, geometric: Tracker, degrees: int
) -> None:
    plain = _video(tmp_path / "plain.mp4", _nodding())
    lying = _video(tmp_path / "lying.mp4", [np.rot90(p, degrees // 90) for p in _nodding()])
    row, pictures = _both(lying, detector)
    assert row["turned_deg"] == degrees and {p.turned_deg for p in pictures} == {degrees}
    assert row["roll_deg"] < 15 and decide(row, QualityConfig(min_duration_s=0.5)) is None
    expected, found = (extract_video(path, "a", geometric) for path in (plain, lying))
    assert expected.schema.metadata[TURNED.encode()] == b"0"
    assert found.schema.metadata[TURNED.encode()] == str(degrees).encode()
    for name in ("jawOpen", "eyeBlinkLeft", "mouthSmileLeft"):
        a, b = (np.array(table[name].to_pylist(), float) for table in (expected, found))
        assert np.abs(a - b).mean() < 0.03
    rolls = [np.array(table["head_roll_deg"].to_pylist(), float) for table in (expected, found)]
    assert np.corrcoef(*rolls)[0, 1] > 0.95 and abs(rolls[1].mean()) < 15


def test_a_wide_picture_on_its_side_changes_its_sides(tmp_path: Path, detector: FaceDetector) -> None:
    scene = np.full((360, 640, 3), 90, np.uint8)
    scene[50:306, 100:356] = astronaut()
    row, pictures = _both(_video(tmp_path / "v.mp4", [np.rot90(scene)] * 12), detector)
    assert (row["turned_deg"], row["native_width"], row["native_height"]) == (90, 640, 360)
    assert (pictures[0].width, pictures[0].height) == (640, 360)
    assert row["crop_x"] + row["crop_size"] / 2 == pytest.approx(228, abs=40)


def test_a_picture_that_is_marked_as_turned_and_lies_all_the_same(tmp_path: Path, detector: FaceDetector) -> None:
    """Turned by its mark it stands on its head: what is seen counts, not what is coded."""
    plain = _video(tmp_path / "plain.mp4", _nodding())
    mark_rotation(plain, 180, tmp_path / "marked.mp4")
    row, pictures = _both(tmp_path / "marked.mp4", detector)
    assert row["turned_deg"] == 180 and row["roll_deg"] < 15
    (face,) = detector.detect(next(p.rgb for p in pictures if p.rgb is not None))
    assert face.keypoints[3][1] > face.keypoints[0][1], "the mouth is below the eyes"


def test_a_head_tilted_halfway_is_neither_turned_nor_accepted(tmp_path: Path, detector: FaceDetector) -> None:
    row, pictures = _both(_video(tmp_path / "v.mp4", _nodding(roll=60)), detector)
    verdict = decide(row, QualityConfig(min_duration_s=0.5))
    assert row["turned_deg"] == pictures[0].turned_deg
    assert row["roll_deg"] < 40 or (verdict is not None and verdict[0] == Reason.EXTREME_POSE)


def test_a_listed_window_is_not_turned(tmp_path: Path, detector: FaceDetector) -> None:
    video = _video(tmp_path / "v.mp4", [np.rot90(p) for p in _nodding()])
    window = Window(0, 0, 256, 256)
    row = standardize_clip(video, None, None, None, tmp_path, "a", MediaConfig(), lambda: detector, window)
    assert row["turned_deg"] == 0 and decide(row, QualityConfig(min_duration_s=0.5)) == (
        Reason.EXTREME_POSE,
        f"head tilted by {row['roll_deg']:.0f} deg, at most 40.0",
    )


def _half_body(head: Picture, at: int) -> Picture:
    """A tall picture: a small head high up, a striped coat, and hands that move and look a little like faces."""
    picture = np.full((960, 540, 3), 100, np.uint8)
    cv2.ellipse(picture, (270, 640), (215, 360), 0, 0, 360, (70, 60, 90), -1)
    for y in range(430, 940, 18):
        cv2.line(picture, (75, y), (465, y + y % 7), (110, 90, 70), 3)
    picture[80 : 80 + head.shape[0], 205 : 205 + head.shape[1]] = head
    for side in (-1, 1):
        x, y = 270 + side * (85 + round(15 * np.sin(at / 6))), 690 + round(20 * np.cos(at / 5 + side))
        for finger in range(4):
            cv2.ellipse(picture, (x + side * (-30 + finger * 18), y - 45), (9, 40), 0, 0, 360, (205, 150, 125), -1)
        cv2.ellipse(picture, (x, y), (48, 40), 0, 0, 360, (210, 155, 130), -1)
        for dx, dy, size in ((-10, -5, (7, 5)), (12, -5, (7, 5)), (0, 17, (15, 4))):
            cv2.ellipse(picture, (x + dx, y + dy), size, 0, 0, 360, (120, 70, 60), -1)
    return picture


def test_a_small_head_above_hands_is_the_speaker_for_both(tmp_path: Path, detector: FaceDetector) -> None:
    video = _video(tmp_path / "v.mp4", [_half_body(head, i) for i, head in enumerate(_nodding(20, 150))])
    row, pictures = _both(video, detector)
    assert row["face_share"] == 1.0 and row["second_face_share"] == 0.0
    assert row["crop_y"] + row["crop_size"] < 330, "the head, not torso and hands"
    assert row["sharpness"] > 30, "as sharp as it is in the whole picture"
    assert decide(row, QualityConfig(min_duration_s=0.5)) is None
    assert all(p.crop is not None and p.crop.y + p.crop.size < 330 for p in pictures)


def test_a_large_thing_that_looks_like_a_face_is_not_followed() -> None:
    faces = [FakeBox(100 + i, 50, 40, 40, 0.9) for i in range(10)]
    seen: list[list[FakeBox]] = [[face] for face in faces]
    for i in range(0, 10, 2):
        seen[i] = [FakeBox(80, 300 + 5 * i, 300, 300, 0.62), *seen[i]]
    assert follow_speaker(seen) == faces


def test_both_follow_the_same_of_two_people(tmp_path: Path, detector: FaceDetector) -> None:
    """The second comes late, larger, and in more of the clip's last frames."""
    left, right = astronaut(), cv2.resize(mirrored(astronaut()), (300, 300))
    frames = []
    for i in range(75):
        scene = np.full((360, 640, 3), 90, np.uint8)
        scene[90:346, 10 + i // 8 : 266 + i // 8] = left
        if i >= 60:
            scene[30:330, 330:630] = right
        frames.append(scene)
    row, pictures = _both(_video(tmp_path / "v.mp4", frames), detector)
    assert row["face_share"] == 1.0 and row["crop_x"] < 100
    assert all(p.crop is not None and p.crop.x < 100 for p in pictures)


def test_a_speaker_who_gives_way_to_another_is_told(tmp_path: Path, detector: FaceDetector) -> None:
    frames = []
    for i in range(60):
        scene = np.full((360, 640, 3), 90, np.uint8)
        left, right = (astronaut(), 20) if i < 40 else (mirrored(astronaut()), 370)
        scene[60:316, right : right + 256] = left
        frames.append(scene)
    row, pictures = _both(_video(tmp_path / "v.mp4", frames), detector)
    assert row["other_speaker_share"] == pytest.approx(1 / 3) and row["face_share"] == pytest.approx(2 / 3)
    verdict = decide(row | {"cut_score": None, "fade_score": None}, QualityConfig())
    assert verdict is not None and verdict[0] == Reason.SEVERAL_SPEAKERS
    assert [p.crop is not None and p.crop.x > 250 for p in pictures] == [False] * 40 + [True] * 20


@pytest.mark.slow
def test_extract_says_that_it_turned_and_what_it_doubts(tmp_path: Path) -> None:
    need_embedded_weights()
    covered = []
    for picture in _nodding():
        cv2.rectangle(picture, (78, 122), (178, 186), (25, 25, 25), -1)
        covered.append(np.rot90(picture))
    made = extract_file(_video(tmp_path / "v.mp4", covered), tmp_path / "v.parquet", "litert")
    assert made.turned_deg == 90 and made.frames_with_face == made.frames
    assert made.doubt is not None and made.doubt.startswith("occluded: lips differ by")
    about = table_metadata(tmp_path / "v.parquet")
    assert about[TURNED] == "90" and json.loads(about[DOUBTED])["lips_contrast"] < 8
    plain = extract_file(_video(tmp_path / "p.mp4", _nodding(5)), tmp_path / "p.csv", "litert")
    assert (plain.turned_deg, plain.doubt) == (0, None)


def _scene(kind: str) -> list[Picture]:
    """As a corpus refuses it, of a picture that a tracker sees whole and of a large one."""
    heads, others = list(_nodding(40)), [mirrored(picture) // 2 for picture in _nodding(40)]
    if kind == "cut":
        return heads[:20] + others[:20]
    if kind == "fade":
        shares = np.linspace(0, 1, 14)[1:-1]
        mixed = [(a * (1 - s) + (255 - b) * s).astype(np.uint8) for a, b, s in zip(heads, others, shares, strict=False)]
        return heads[:14] + mixed + [255 - picture for picture in others[:14]]
    if kind == "tilted":
        return [cv2.resize(picture, (400, 400)) for picture in _nodding(20, roll=45)]
    scenes = []
    for i, (head, other) in enumerate(zip(heads, others, strict=True)):
        scene = np.full((360, 640, 3), 90, np.uint8)
        left = 20 if i < 25 else 370
        scene[60:316, left : left + 256] = head if i < 25 else other
        scenes.append(scene)
    return scenes


@pytest.mark.thinned(4)
@pytest.mark.parametrize("kind", ["cut", "fade", "tilted", "another"])
def test_extract_doubts_what_a_corpus_refuses(
    tmp_path: Path, detector: FaceDetector, geometric: Tracker, kind: str
) -> None:
    video = _video(tmp_path / "v.mp4", _scene(kind))
    row = standardize_clip(video, None, None, None, tmp_path / "out", "a", MediaConfig(), lambda: detector)
    told = json.loads(extract_video(video, "a", geometric).schema.metadata[DOUBTED.encode()])
    same = {name: row[name] for name in told if row[name] is not None and name in told}
    assert {"cut_score", "fade_score", "other_speaker_share", "face_share", "yaw_deg", "roll_deg"} <= set(same)
    assert {name: told[name] for name in same} == pytest.approx(same, rel=0.02, abs=0.02)
    expected, found = (decide(dict.fromkeys(row) | scores, QualityConfig()) for scores in (same, told))
    assert expected is not None and found is not None and expected[0] == found[0]
