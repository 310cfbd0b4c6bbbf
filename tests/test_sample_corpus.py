"""The sample corpus: its speech, its true curves, its speakers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from magictalk_core.faces.mesh import FACE_OVAL
from magictalk_core.sample_corpus.build import utterances, video_path
from magictalk_core.sample_corpus.curves import Utterance, motion_curves
from magictalk_core.sample_corpus.portraits import PORTRAIT_SIZE, SPEAKERS, speaker_portrait
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, MOTION_NAMES

JAW, BLINK = MOTION_NAMES.index("jawOpen"), MOTION_NAMES.index("eyeBlinkLeft")


def curves(utterance: Utterance, fps: int = 100) -> np.ndarray:
    return motion_curves(utterance, np.arange(round(utterance.duration_s * fps)) / fps)


def test_there_are_enough_speakers_emotions_and_takes() -> None:
    found = Counter((u.speaker, u.emotion) for u in utterances())
    assert len({s for s, _ in found}) >= 4 and len({e for _, e in found}) >= 4
    assert set(found.values()) == {3}
    assert all(1.9 <= u.duration_s <= 3.5 for u in utterances())
    assert len({video_path(u) for u in utterances()}) == 60
    assert len({u.text for u in utterances() if u.speaker == "W901"}) == 12


@pytest.mark.parametrize("utterance", utterances()[::7], ids=lambda u: u.key)
def test_curves_keep_their_ranges_and_move(utterance: Utterance) -> None:
    motion = curves(utterance)
    coefficients = motion[:, : len(ARKIT_NAMES)]
    assert coefficients.min() >= 0 and coefficients.max() <= 1
    assert np.ptp(motion[:, JAW]) > 0.3 and motion[:, BLINK].max() > 0.9
    assert np.abs(np.diff(motion[:, JAW])).max() < 0.2, "no jump within 10 ms"


def test_lips_close_on_m_b_and_p() -> None:
    for utterance in utterances():
        motion = curves(utterance)
        for symbol, start, end in utterance.phonemes:
            if symbol in "bmp" and end - start >= 60:
                middle = round((start + end) / 2 / 10)
                assert motion[middle, JAW] < 0.25, (utterance.key, symbol, start)


def test_video_and_truth_come_from_the_same_functions() -> None:
    utterance = utterances()[0]
    fine, coarse = curves(utterance, 150), curves(utterance, 25)
    np.testing.assert_allclose(fine[::6][: len(coarse)], coarse[: len(fine[::6])], atol=0.05)


def test_emotions_show() -> None:
    means = {}
    for utterance in utterances():
        means.setdefault(utterance.emotion, []).append(curves(utterance, 25).mean(axis=0))
    by = {emotion: np.mean(rows, axis=0) for emotion, rows in means.items()}
    for channel, emotion in (("mouthSmileLeft", "happy"), ("browDownLeft", "angry"), ("mouthFrownRight", "sad")):
        values = {e: row[MOTION_NAMES.index(channel)] for e, row in by.items()}
        assert max(values, key=lambda e: values[e]) == emotion and values[emotion] > 2 * values["neutral"]


def test_speakers_rest_their_mouths_and_differ() -> None:
    pictures = {}
    for speaker in SPEAKERS:
        picture, points = speaker_portrait(speaker)
        assert picture.shape == (PORTRAIT_SIZE, PORTRAIT_SIZE, 3) and points.shape == (468, 3)
        gap = abs(points[13, 1] - points[14, 1]) / np.ptp(points[list(FACE_OVAL), 1])
        assert gap < 0.015, speaker
        assert points[33, 0] < points[263, 0] and (points[:, :2] > 0).all() and (points[:, :2] < PORTRAIT_SIZE).all()
        pictures[speaker] = picture.astype(int)
    names = list(pictures)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            assert np.abs(pictures[a] - pictures[b]).mean() > 10, (a, b)
