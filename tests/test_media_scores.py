from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from magictalk_core.media.crop import CropBox, Window, window_crop
from magictalk_core.media.picture import ScaledBox, Sighting
from magictalk_core.media.scores import face_scores, frozen_share, roll_deg, sharpness, yaw_deg
from magictalk_core.media.signature import picture_bits, signature, signature_distance, sound_bits
from tests.media_fixtures import FakeBox

RATE = 16_000


def box(x: float, side: float = 40.0, yaw: float = 0.0) -> ScaledBox:
    return ScaledBox(x, 50.0, side, side, 0.9, yaw, 100.0)


def test_face_scores_count_gaps_and_rivals() -> None:
    speaker = [box(60), box(62), None, None, box(64, yaw=-30.0)]
    rival, small, far = box(20), box(20, side=10.0), box(300)
    faces = [(speaker[0], rival), (speaker[1], small), (rival,), (far,), (speaker[4], far)]
    followed = [*speaker[:3], far, speaker[4]]
    seen = [Sighting(one, tuple(b for b in more if b)) for one, more in zip(followed, faces, strict=True)]
    scores = face_scores(speaker, seen, CropBox(0, 0, 150))
    expected = {"face_share": 0.6, "second_face_share": 0.4, "face_px": 40.0, "sharpness": 100.0}
    assert scores == expected | {"yaw_deg": 0.0, "roll_deg": 0.0, "other_speaker_share": 0.2}


@pytest.mark.parametrize(("degrees", "expected"), [(0, 0), (30, 30), (-30, -30), (60, 60)])
def test_yaw_is_read_from_nose_and_ears(degrees: float, expected: float) -> None:
    angle = np.radians(degrees)
    points = np.zeros((6, 2))
    points[4], points[5], points[2] = (-np.cos(angle), 0), (np.cos(angle), 0), (np.sin(angle), 0.3)
    assert yaw_deg(SimpleNamespace(keypoints=points)) == pytest.approx(expected, abs=1e-6)
    assert yaw_deg(FakeBox(0, 0, 1, 1)) == 0.0


@pytest.mark.parametrize("degrees", [0, 30, -80, 90, 179])
def test_roll_is_read_from_eyes_and_mouth(degrees: float) -> None:
    angle = np.radians(degrees)
    points = np.zeros((6, 2))
    points[0], points[1], points[3] = (-1, 0), (1, 0), (0, 1)
    # Counter-clockwise as seen, with y down.
    points = points @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert roll_deg(SimpleNamespace(keypoints=points)) == pytest.approx(degrees, abs=1e-6)
    assert roll_deg(FakeBox(0, 0, 1, 1)) == 0.0


def test_sharpness_falls_with_blur_and_a_still_picture_is_frozen() -> None:
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 255, (200, 200), np.uint8)
    blurred = np.asarray(cv2.GaussianBlur(gray, (0, 0), 4), np.uint8)
    face = FakeBox(20, 20, 150, 150)
    assert sharpness(gray, face) > 50 * sharpness(blurred, face)
    noise = np.clip(gray.astype(int) + (rng.random(gray.shape) < 0.1), 0, 255).astype(np.uint8)
    region = (0, 0, 200, 200)
    assert frozen_share([gray, gray, noise], region) == 1.0
    assert frozen_share([gray, blurred, gray], region) == 0.0 and frozen_share([gray], region) == 0.0


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(100, 50, 80, 80), CropBox(100, 50, 80)),
        (Window(100, 50, 80, 60), CropBox(100, 40, 80)),
        (Window(0, 0, 60, 80), CropBox(0, 0, 80)),
        (Window(580, 300, 60, 60), CropBox(580, 300, 60)),
        (Window(0, 0, 640, 360), CropBox(0, -140, 640)),
    ],
)
def test_a_window_becomes_a_square(window: Window, expected: CropBox) -> None:
    assert window_crop(window, 640, 360) == expected


def speech(seed: int, seconds: float = 3.0) -> np.ndarray:
    """Noise whose bands rise and fall."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * RATE)) / RATE
    tones = [np.sin(2 * np.pi * f * times) for f in np.geomspace(250, 3400, 24)]
    gains = [np.interp(times, np.linspace(0, seconds, 40), rng.random(40) ** 3) for _ in tones]
    return np.asarray(sum(g * t for g, t in zip(gains, tones, strict=True)) / 24, np.float32)


def pictures(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.asarray(cv2.resize(rng.integers(0, 255, (6, 6), np.uint8), (64, 64)), np.uint8) for _ in range(40)]


def test_a_recording_keeps_its_signature_and_others_differ() -> None:
    first = signature(speech(0), RATE, pictures(0))
    noisy = speech(0) * 0.3 + 0.002 * np.random.default_rng(1).standard_normal(3 * RATE).astype(np.float32)
    again = signature(noisy, RATE, [np.clip(p * 0.9 + 10, 0, 255).astype(np.uint8) for p in pictures(0)])
    other = signature(speech(2), RATE, pictures(2))
    dubbed = signature(speech(0), RATE, pictures(2))
    assert first and again and other and dubbed
    assert signature_distance(first, again) < 0.1 < 0.35 < signature_distance(first, other)
    assert signature_distance(first, dubbed) == 1.0, "one speech over two faces is two recordings"
    assert signature_distance(f":{first.split(':')[1]}", again) < 0.15, "without sound the pictures decide"


def test_nothing_to_sign() -> None:
    assert sound_bits(np.zeros(RATE, np.float32), RATE) == ""
    assert picture_bits([np.full((64, 64), 9, np.uint8)] * 5) == ""
    assert signature(None, RATE, pictures(0)[:1]) is None
