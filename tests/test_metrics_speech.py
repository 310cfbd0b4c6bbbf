"""Lips that close, blinks, amplitudes and heads: against plain formulas, and that no stupid motion scores well."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from magictalk_core.metrics.amplitude import amplitude_ratios
from magictalk_core.metrics.blinks import find_blinks
from magictalk_core.metrics.closures import (
    BILABIAL,
    LABIODENTAL,
    Phoneme,
    closed_level,
    closures_at,
    phoneme_places,
    seen_closures,
)
from magictalk_core.metrics.coefficients import group_error, level_free_error
from magictalk_core.metrics.head import head_statistics
from magictalk_core.metrics.lips import lips_of
from magictalk_core.metrics.seams import pooled_seam_ratio, seam_ratio
from magictalk_core.rig.builtin import builtin_rig
from magictalk_core.rig.rig import Rig
from magictalk_core.sample_corpus.build import utterances
from magictalk_core.sample_corpus.curves import motion_curves
from magictalk_core.vocabulary.arkit import GROUPS, MOTION_NAMES

JAW = MOTION_NAMES.index("jawOpen")
SAID = (
    Phoneme("a", 0.0, 0.5),
    Phoneme("b", 0.5, 0.6),
    Phoneme("a", 0.6, 1.0),
    Phoneme("f", 1.0, 1.1),
    Phoneme("a", 1.1, 1.6),
)


@pytest.fixture(scope="module")
def rig() -> Rig:
    return builtin_rig()


def still(frames: int = 60) -> NDArray[np.float64]:
    return np.zeros((frames, len(MOTION_NAMES)))


# --- lips ------------------------------------------------------------------------------------------------------------


def test_the_gap_is_that_of_the_posed_rig(rig: Rig) -> None:
    motion = np.random.default_rng(1).uniform(0, 0.5, (5, len(MOTION_NAMES)))
    lips = lips_of(motion, rig)
    for frame in range(5):
        face = rig.shape(motion[frame, :52])
        upper, lower = face[[81, 82, 13, 312, 311], 1].mean(), face[[178, 87, 14, 317, 402], 1].mean()
        assert lips.gap[frame] == pytest.approx(upper - lower, abs=1e-5)
        assert lips.drop[frame] == pytest.approx(rig.neutral[[178, 87, 14, 317, 402], 1].mean() - lower, abs=1e-5)
    motion[2] = np.nan
    assert np.isnan(lips_of(motion, rig).gap[2])


def test_an_open_jaw_parts_the_lips_and_mouth_close_shuts_them(rig: Rig) -> None:
    motion = still(3)
    motion[1:, JAW] = 0.5
    motion[2, MOTION_NAMES.index("mouthClose")] = 0.5
    rest, opened, closed = lips_of(motion, rig).gap
    assert opened > rest + 0.5 and closed < rest + 0.3 * (opened - rest)


# --- closures --------------------------------------------------------------------------------------------------------


def test_places_are_the_frames_of_the_phonemes() -> None:
    places = phoneme_places(SAID, BILABIAL, 45, LABIODENTAL)
    assert [list(event) for event in places.events] == [[13, 14, 15]], "0.5 s is between two frames, 0.6 s is frame 15"
    assert set(places.others) == {*range(12), *range(17, 26), *range(28, 41)}
    short = phoneme_places((Phoneme("p", 0.41, 0.43),), BILABIAL, 20)
    assert [list(event) for event in short.events] == [[10]], "shorter than a frame: the nearest one"


def test_a_mouth_that_closes_where_it_should_scores_one_and_a_shut_or_frozen_one_does_not() -> None:
    places = phoneme_places(SAID, BILABIAL, 45)
    real = np.where(np.isin(np.arange(45), places.events[0]), 0.0, 1.0 + 0.01 * np.arange(45))
    shut = closed_level(real)
    assert shut is not None and 0 < shut < 1
    good = closures_at(real, places, shut)
    assert (good.auc, good.share) == (1.0, 1.0)
    frozen = closures_at(np.ones(45), places, shut)
    assert (frozen.auc, frozen.share) == (0.5, 0.0)
    sealed = closures_at(np.full(45, -1.0), places, shut)
    assert (sealed.auc, sealed.share) == (0.5, 1.0), "the share alone is taken in"
    upside_down = closures_at(-real, places, shut)
    assert upside_down.auc == 0.0


@given(gain=st.floats(0.1, 5), level=st.floats(-2, 2), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_the_auc_is_free_of_gain_and_level(gain: float, level: float, seed: int) -> None:
    places = phoneme_places(SAID, BILABIAL, 45)
    gap = np.random.default_rng(seed).normal(size=45).round(3)
    value = closures_at(gap, places, None).auc
    assert closures_at(gap * gain + level, places, None).auc == pytest.approx(value, abs=1e-9)
    inside, others = gap[np.concatenate(places.events)], gap[places.others]
    pairs = (inside[:, None] < others) + 0.5 * (inside[:, None] == others)
    assert value == pytest.approx(pairs.mean())


def test_without_a_place_or_other_speech_there_is_no_value() -> None:
    gap = np.arange(20.0)
    none = closures_at(gap, phoneme_places((Phoneme("a", 0, 0.8),), BILABIAL, 20), 1.0)
    assert none.auc is None and none.share is None
    alone = closures_at(gap, phoneme_places((Phoneme("m", 0, 0.8),), BILABIAL, 20), 1.0)
    assert alone.auc is None and alone.share == 1.0
    assert closed_level(np.ones(20)) is None and closed_level(np.full(20, np.nan)) is None


def test_the_curves_of_the_sample_corpus_close_at_its_bilabials_and_are_seen_to(rig: Rig) -> None:
    aucs, shares, contacts, seen_right = [], [], [], []
    for utterance in utterances()[::6]:
        frames = round(utterance.duration_s * 25)
        said = [Phoneme(s, a / 1000, b / 1000) for s, a, b in utterance.phonemes]
        lips = lips_of(motion_curves(utterance, np.arange(frames) / 25), rig)
        at = phoneme_places(said, BILABIAL, frames, LABIODENTAL)
        found = closures_at(lips.gap, at, closed_level(lips.gap))
        if found.auc is not None and found.share is not None:
            aucs.append(found.auc)
            shares.append(found.share)
        teeth = closures_at(lips.drop, phoneme_places(said, LABIODENTAL, frames, BILABIAL), None)
        contacts += [] if teeth.auc is None else [teeth.auc]
        near = {
            f + d
            for p in (BILABIAL, LABIODENTAL)
            for e in phoneme_places(said, p, frames).events
            for f in e
            for d in (-1, 0, 1)
        }
        seen_right += [int(e[0]) in near for e in seen_closures(lips.gap, np.ones(frames, bool)).events]
    assert np.mean(aucs) > 0.98 and np.mean(shares) > 0.7 and np.mean(contacts) > 0.75
    assert len(seen_right) > 10 and np.mean(seen_right) > 0.8


# --- blinks ----------------------------------------------------------------------------------------------------------


def lids(
    *at: float, height: float = 0.3, rest: float = 0.05, frames: int = 100, width: float = 1.6
) -> NDArray[np.float64]:
    motion = still(frames)
    time = np.arange(frames)
    curve = rest + sum((height * np.exp(-(((time - place) / width) ** 2)) for place in at), np.zeros(frames))
    for name in ("eyeBlinkLeft", "eyeBlinkRight"):
        motion[:, MOTION_NAMES.index(name)] = curve
    return motion


@pytest.mark.parametrize("height", [0.1, 0.3, 0.9])
def test_blinks_are_found_however_far_a_tracker_closes_the_eye(height: float) -> None:
    found = find_blinks(lids(20, 60, height=height))
    assert [place for place, _ in found.peaks] == [20, 60]
    assert found.per_minute == pytest.approx(2 * 60 / 4)
    assert found.mean_duration_s == pytest.approx(2 * np.sqrt(np.log(2)) * 1.6 / 25, rel=0.05)


def test_noise_a_closed_eye_and_a_slow_lid_are_no_blinks() -> None:
    noisy = lids()
    noisy[:, :52] += 0.02 * np.random.default_rng(0).random((100, 52))
    assert find_blinks(noisy).peaks == ()
    assert find_blinks(lids(50, width=8)).peaks == (), "0.5 s: the eye was shut"
    small = lids(20, height=0.8) + lids(60, height=0.15, rest=0)
    assert [place for place, _ in find_blinks(small).peaks] == [20], "a flutter beside a real blink"


def test_no_blink_and_no_eyes_are_different_things() -> None:
    assert find_blinks(lids()).per_minute == 0 and find_blinks(lids()).mean_duration_s is None
    unseen = lids(20)
    unseen[:, :14] = np.nan
    assert find_blinks(unseen).per_minute is None
    half = lids(20, 70)
    half[:50] = np.nan
    assert [place for place, _ in find_blinks(half).peaks] == [70] and find_blinks(half).measured_frames == 50


# --- amplitude, level, head, seams -----------------------------------------------------------------------------------


def motion(seed: int, frames: int = 80) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(0, 1, (frames, len(MOTION_NAMES)))


@given(gain=st.floats(0.0, 3.0))
@settings(max_examples=10, deadline=None)
def test_amplitude_is_the_gain_of_the_movement(gain: float) -> None:
    truth = motion(1)
    made = truth.mean(axis=0) + gain * (truth - truth.mean(axis=0))
    assert all(value == pytest.approx(gain, abs=1e-6) for value in amplitude_ratios(truth, made).values())
    assert set(amplitude_ratios(still(), made[:60]).values()) == {None}


def test_a_style_gives_the_level_away_and_nothing_of_the_movement() -> None:
    truth = motion(1)
    moved = truth - truth.mean(axis=0)
    shifted, frozen = truth + 0.3, np.repeat(truth.mean(axis=0)[None], 80, axis=0)
    free = level_free_error(truth, shifted)
    assert all(free[group].value == pytest.approx(0, abs=1e-12) for group in GROUPS if group != "pose")
    mouth = [MOTION_NAMES.index(name) for name in GROUPS["mouth"]]
    assert level_free_error(truth, frozen)["mouth"].value == pytest.approx(np.abs(moved[:, mouth]).mean())
    assert group_error(truth, frozen)["mouth"].value == pytest.approx(np.abs(moved[:, mouth]).mean())
    holes = truth.copy()
    holes[10:20] = np.nan
    kept = np.r_[0:10, 20:80]
    assert level_free_error(holes, frozen)["mouth"].value == pytest.approx(
        np.abs(truth[kept] - truth[kept].mean(axis=0))[:, mouth].mean()
    )


def turning(hz: float, degrees: float = 5.0, frames: int = 250) -> NDArray[np.float64]:
    values = still(frames)
    values[:, 52:55] = (degrees * np.sin(2 * np.pi * hz * np.arange(frames) / 25))[:, None]
    return values


def test_head_statistics_of_a_sine_are_its_closed_forms() -> None:
    slow, fast = head_statistics(turning(1.0)), head_statistics(turning(6.0))
    assert slow["std_deg"] == pytest.approx(5 / np.sqrt(2), rel=1e-3)
    assert slow["speed_deg_s"] == pytest.approx(2 / np.pi * 5 * 2 * np.pi * 1.0, rel=0.02)
    assert slow["fast_share"] == pytest.approx(0, abs=1e-3) and fast["fast_share"] == pytest.approx(1, abs=1e-3)
    assert slow["step_autocorrelation"] == pytest.approx(np.cos(2 * np.pi / 25), abs=0.02)
    assert fast["step_autocorrelation"] == pytest.approx(np.cos(2 * np.pi * 6 / 25), abs=0.02)


def test_a_still_head_and_a_short_clip_have_no_shares() -> None:
    frozen = head_statistics(still())
    assert frozen == {"std_deg": 0, "speed_deg_s": 0, "fast_share": None, "step_autocorrelation": None}
    assert set(head_statistics(still(20)).values()) == {None}


def test_seams_of_several_clips_are_looked_at_together() -> None:
    clips = [motion(seed, 70) for seed in range(30)]
    ratios = [seam_ratio(clip, 32) for clip in clips]
    pooled = pooled_seam_ratio(clips, 32)
    assert pooled is not None and abs(pooled - 1) < 0.5 * max(abs(r - 1) for r in ratios if r is not None)
    assert pooled_seam_ratio([], 32) is None and pooled_seam_ratio([motion(1, 20)], 32) is None
    assert pooled_seam_ratio(clips[:1], 32) == seam_ratio(clips[0], 32)
