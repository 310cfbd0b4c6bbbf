"""One shot or several, and how much of the face is to be seen: the scores and their gates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from face_fixtures import astronaut, mirrored, need_embedded_weights, turned
from numpy.typing import NDArray

from magictalk_core.config import MediaConfig, QualityConfig
from magictalk_core.faces.detection import load_face_detector
from magictalk_core.faces.visible import load_face_viewer
from magictalk_core.media.encode import write_video
from magictalk_core.media.shots import cut_score, fade_score
from magictalk_core.media.standardize import standardize_clip
from magictalk_core.preparation.gates import decide
from magictalk_core.vocabulary.clips import Reason

Picture = NDArray[np.uint8]


def _head(frames: int, picture: Picture | None = None) -> list[Picture]:
    """A head that tilts, so that the picture moves as a talking one does."""
    picture = astronaut() if picture is None else picture
    return [turned(picture, 4 * np.sin(i / 3)) for i in range(frames)]


def _other(frames: int) -> list[Picture]:
    """Somebody else, for what can be told without knowing faces: mirrored, in other light, before another wall."""
    picture = mirrored(astronaut())
    wall = np.indices((256, 256)).sum(axis=0)[..., None] // 24 % 2 * 120
    mask = np.hypot(*(np.indices((256, 256)) - 118)) < 90
    return _head(frames, np.where(mask[..., None], 255 - (255 - picture) // 2, wall).astype(np.uint8))


def _mixed(a: list[Picture], b: list[Picture]) -> Iterator[Picture]:
    for i, (one, other) in enumerate(zip(a, b, strict=True), start=1):
        share = i / (len(a) + 1)
        yield (one * (1 - share) + other * share).astype(np.uint8)


def _judged(tmp_path: Path, frames: list[Picture]) -> tuple[dict[str, Any], Reason | None]:
    need_embedded_weights()
    sound = np.sin(np.arange(16000 * len(frames) // 25) / 10).astype(np.float32) / 2
    write_video(tmp_path / "v.mp4", frames, 25, sound)
    row = standardize_clip(
        tmp_path / "v.mp4", None, None, None, tmp_path, "a", MediaConfig(), load_face_detector, None, load_face_viewer
    )
    verdict = decide(row, QualityConfig())
    return row, None if verdict is None else verdict[0]


A, B = _head(60), _other(60)
BLACK = [np.zeros((256, 256, 3), np.uint8)] * 12
SCENES: dict[str, tuple[list[Picture], Reason | None]] = {
    "one shot": (A, None),
    "cut": (A[:40] + B[:40], Reason.SCENE_CUT),
    "there and back": (A[:30] + B[:30] + A[30:], Reason.SCENE_CUT),
    "cross-fade of 12 frames": (A[:30] + list(_mixed(A[30:42], B[:12])) + B[12:42], Reason.SCENE_CUT),
    "cross-fade of 25 frames": (A[:30] + list(_mixed(A[30:55], B[:25])) + B[25:55], Reason.SCENE_CUT),
    "over black": (A[:40] + BLACK[:6] + B[:40], Reason.SCENE_CUT),
    "black before it": (BLACK[:5] + A, None),
    "a flash of light": ([*A[:30], np.full((256, 256, 3), 255, np.uint8), *A[30:]], None),
    "every frame twice": ([frame for frame in A[:30] for _ in range(2)], None),
}


@pytest.mark.thinned(3)
@pytest.mark.parametrize("scene", SCENES)
def test_a_clip_is_one_shot(tmp_path: Path, scene: str) -> None:
    frames, expected = SCENES[scene]
    row, found = _judged(tmp_path, frames)
    assert found == expected, row


def _beside(heads: list[Picture], slides: list[int]) -> list[Picture]:
    """Speaker to the right of a slide that is light or dark, or a cut of everything."""
    scenes = [np.full((300, 720, 3), level, np.uint8) for level in slides]
    for scene, head in zip(scenes, heads, strict=True):
        scene[60:120, 40:300] = 255 - scene[0, 0]
        scene[22:278, 440:696] = head
    return scenes


def test_slides_beside_the_speaker_may_change(tmp_path: Path) -> None:
    row, found = _judged(tmp_path, _beside(A, [220] * 30 + [40] * 30))
    assert found is None, row
    row, found = _judged(tmp_path, _beside(A[:30] + B[:30], [220] * 60))
    assert found == Reason.SCENE_CUT, row


def test_movement_is_neither_cut_nor_fade() -> None:
    """An edge that runs through the picture, slowly and fast, and light that changes."""
    edge = np.arange(32)[None, :] + np.zeros((32, 1))
    for speed in (0.2, 1.0, 4.0):
        frames = np.array([np.where((edge - speed * i) % 32 < 16, 60, 180) for i in range(80)], np.float32)
        frames = np.array([cv2.GaussianBlur(f, (0, 0), 1.5) for f in frames]).reshape(80, -1)
        assert cut_score(frames) < 2.5 and fade_score(frames) < 0.5
    dimmed = np.linspace(1, 0.3, 80, dtype=np.float32)[:, None] * frames[0]
    assert cut_score(dimmed) < 2.5 and fade_score(dimmed) < 0.01
    assert cut_score(frames[:2]) == fade_score(frames[:1]) == 0.0


def _covered(kind: str) -> list[Picture]:
    frames = []
    for i, frame in enumerate(_head(30)):
        picture, x, y = frame.copy(), 128 + i // 10, 150
        if kind == "mask":
            cv2.ellipse(picture, (x, y), (52, 48), 0, 0, 360, (170, 200, 220), -1)
        elif kind == "dark rectangle":
            cv2.rectangle(picture, (x - 50, y - 28), (x + 50, y + 36), (25, 25, 25), -1)
        elif kind == "microphone":
            cv2.circle(picture, (x, y), 34, (40, 40, 44), -1)
        frames.append(picture)
    return frames


@pytest.mark.thinned(3)
@pytest.mark.parametrize("kind", ["mask", "dark rectangle", "microphone"])
def test_a_covered_mouth_is_no_mouth(tmp_path: Path, kind: str) -> None:
    row, found = _judged(tmp_path, _covered(kind))
    assert found == Reason.OCCLUDED, row


@pytest.mark.parametrize("share", [0.5, 0.4, 0.3])
def test_a_mouth_that_is_covered_for_a_part_is_told(tmp_path: Path, share: float) -> None:
    """For less than half, of which a median says nothing; at once, which here is a step of the picture besides."""
    at = round(30 * (1 - share))
    row, _ = _judged(tmp_path, _head(30)[:at] + _covered("mask")[at:])
    assert row["covered_share"] == pytest.approx(share, abs=0.07), row
    verdict = decide(row | {"cut_score": None, "fade_score": None}, QualityConfig())
    assert verdict is not None and verdict[0] == Reason.OCCLUDED
    assert row["cut_off_share"] == 0.0 and (share == 0.5 or row["lips_contrast"] > 12)


@pytest.mark.parametrize("change", ["none", "grey", "dark", "small"])
def test_a_mouth_that_is_hard_to_see_is_still_one(tmp_path: Path, change: str) -> None:
    def changed(picture: Picture) -> Picture:
        if change == "grey":
            return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
        if change == "dark":
            return (picture * 0.35).astype(np.uint8)
        if change == "small":
            return np.asarray(cv2.resize(cv2.resize(picture, (110, 110)), (256, 256)), np.uint8)
        return picture

    row, found = _judged(tmp_path, [changed(picture) for picture in _head(30)])
    assert found is None and row["covered_share"] == 0.0, row


@pytest.mark.parametrize("cut", ["chin", "left half"])
def test_a_face_cut_by_the_edge_is_truncated(tmp_path: Path, cut: str) -> None:
    frames = [p[:146] if cut == "chin" else np.ascontiguousarray(p[:, 112:]) for p in _head(30)]
    row, found = _judged(tmp_path, frames)
    assert found in {Reason.TRUNCATED_FACE, Reason.OCCLUDED, Reason.NO_FACE}, row


def test_a_face_that_leaves_the_picture_for_a_part_is_told(tmp_path: Path) -> None:
    """It sinks until the chin is gone, in four of ten frames."""
    frames = []
    for i, picture in enumerate(_head(30)):
        down = int(np.clip(9 * (i - 5), 0, 118))
        frames.append(np.concatenate([picture[:1].repeat(down, axis=0), picture[: 256 - down]]))
    row, _ = _judged(tmp_path, frames)
    verdict = decide(row | {"cut_score": None, "fade_score": None}, QualityConfig())
    assert verdict is not None and verdict[0] == Reason.TRUNCATED_FACE, row
    assert row["cut_off_share"] == pytest.approx(0.4, abs=0.1) and row["outside_share"] == 0.0, row
