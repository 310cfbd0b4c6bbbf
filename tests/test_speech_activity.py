"""When somebody speaks, as it is heard: of streams and of whole sounds, and sounds without a voice."""

from __future__ import annotations

from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_speech_level import gained, noise_of

from magictalk_core.media.decode import read_audio
from magictalk_core.speech.activity import LOOK_AHEAD, SHUT_FRAMES, VoiceActivity, voice_activity
from magictalk_core.speech.presence import LEAST_LETTERS, has_speech, letters_per_second

HOP = 640
Samples = NDArray[np.float32]


def tone(frames: int, dbfs: float = -20.0) -> Samples:
    """A voice as far as levels know: loud, and never as steady as noise."""
    time = np.arange(frames * HOP) / 16_000
    wave = np.sin(2 * np.pi * 200 * time) * (1 + 0.8 * np.sin(2 * np.pi * 3 * time))
    return gained(np.asarray(wave, np.float32), dbfs)


def spoken(before: int = 25, voice: int = 50, after: int = 25) -> Samples:
    quiet = [np.zeros(n * HOP, np.float32) for n in (before, after)]
    return np.concatenate([quiet[0], tone(voice), quiet[1]])


def test_activity_begins_before_the_voice_and_ends_soon_after() -> None:
    active = voice_activity(spoken(), 100)
    first, last = 25, 75
    assert not active[: first - LOOK_AHEAD - 1].any() and (active[first:last] == 1).all()
    assert 0 < active[first - LOOK_AHEAD] <= active[first - LOOK_AHEAD + 1]
    assert not active[last + SHUT_FRAMES :].any() and SHUT_FRAMES <= 0.3 * 25
    assert (np.abs(np.diff(active)) <= 0.5).all()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 100 * HOP), max_size=8))
def test_a_stream_is_as_active_as_the_whole(cuts: list[int]) -> None:
    samples = spoken()
    edges = sorted({0, len(samples), *cuts})
    active, found = VoiceActivity(), []
    for a, b in pairwise(edges):
        found.append(active.push(samples[a:b]))
        # Never later than the look-ahead and half a frame.
        assert sum(map(len, found)) >= b // HOP - LOOK_AHEAD - 1
    found.append(active.push(np.zeros(0, np.float32), is_last=True))
    np.testing.assert_array_equal(np.concatenate(found)[:100], voice_activity(samples, 100))


@pytest.mark.parametrize("db", [-40.0, -20.0, 6.0])
def test_the_level_of_a_recording_changes_nothing(db: float) -> None:
    voice = spoken()
    np.testing.assert_array_equal(voice_activity(gained(voice, db), 100), voice_activity(voice, 100))


@pytest.mark.parametrize("colour", ["white", "pink"])
def test_steady_noise_is_no_voice_and_hides_none(colour: str) -> None:
    noise = np.tile(noise_of(colour, -40.0), 2)[: 100 * HOP]
    alone = voice_activity(noise, 100)
    assert not alone[20:].any()
    over = voice_activity(np.asarray(spoken() + noise, np.float32), 100)
    assert over[25:75].mean() > 0.95 and not over[75 + SHUT_FRAMES :].any()


def test_silence_and_nothing_are_not_active() -> None:
    assert not voice_activity(np.zeros(5000, np.float32), 30).any()
    assert len(voice_activity(np.zeros(0, np.float32), 7)) == 7 and not len(voice_activity(tone(3), 0))


def music(seed: int) -> Samples:
    """Eight seconds of chords and a tune, plucked, with a beat of noise."""
    random, time = np.random.default_rng(seed), np.arange(8 * 16_000) / 16_000
    sound = np.zeros(len(time))
    for beat in np.arange(0, 8, 0.5):
        since = np.clip(time - beat, 0, None) * (time >= beat)
        for note in (*random.choice([0, 4, 7, 12], 2, replace=False), 12 + random.choice([0, 2, 4, 5, 7, 9])):
            partials = sum(np.sin(2 * np.pi * 220 * 2 ** (note / 12) * k * since) / k for k in range(1, 8))
            sound += partials * np.exp(-4 * since) * (time >= beat)
        sound += random.normal(size=len(time)) * np.exp(-60 * since) * (time >= beat) * 0.5
    return np.asarray(sound / np.abs(sound).max() * 0.5, np.float32)


@pytest.mark.parametrize("name", ["W901-happy-001", "M901-angry-002"])
def test_a_voice_is_speech_in_noise_and_in_a_long_silence_too(name: str) -> None:
    voice = read_audio(Path(str(resources.files("magictalk_core.sample_corpus").joinpath(f"speech/{name}.ogg"))))
    noise = np.random.default_rng(2).normal(size=len(voice)) * voice.std() * 10 ** (-10 / 20)
    late = np.concatenate([np.zeros(20 * 16_000, np.float32), voice])
    assert letters_per_second(voice) > 2 * LEAST_LETTERS
    assert has_speech(np.asarray(voice + noise, np.float32)) and has_speech(late)


@pytest.mark.parametrize("seed", [1, 2])
def test_music_is_no_speech(seed: int) -> None:
    assert letters_per_second(music(seed)) < LEAST_LETTERS


@pytest.mark.parametrize("colour", ["white", "brown"])
def test_noise_and_silence_are_no_speech(colour: str) -> None:
    assert not has_speech(noise_of(colour, -30.0)) and not has_speech(np.zeros(50_000, np.float32))
    assert not has_speech(np.zeros(10, np.float32))
