"""Features of speech that goes on, against those of the whole sound."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.media.decode import read_audio
from magictalk_core.speech.feature_stream import FeatureStream, frame_needs
from magictalk_core.speech.features import WHISPER, speech_features
from magictalk_core.speech.level import SPEECH_DBFS, at_speech_level, speech_level
from magictalk_core.speech.level_stream import LevelStream
from magictalk_core.speech.whisper import PIECE, load_whisper, whisper_steps
from magictalk_core.speech.whisper_stream import WhisperStream

EVERYTHING = 10_000
"""More steps than any sound here has."""


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """3.2 s of speech, 16 kHz."""
    path: Path = tmp_path_factory.mktemp("voice") / "voice.ogg"
    path.write_bytes(resources.files("magictalk_core.sample_corpus").joinpath("speech/W901-happy-001.ogg").read_bytes())
    samples = at_speech_level(read_audio(path, 16_000))
    return np.resize(samples, 640 * 80)


def _in_blocks(stream: WhisperStream | FeatureStream, samples: np.ndarray, cuts: list[int]) -> np.ndarray:
    parts = [stream.push(block) for block in np.split(samples, sorted(cuts))]
    return np.concatenate([*parts, stream.finish()])


@pytest.mark.parametrize("length", [1, 100, 640, 900, 1280, 640 * 20 - 300, 640 * 20 + 210, 640 * 20 + 330, 640 * 80])
def test_who_hears_everything_hears_what_the_whole_sound_says(voice: np.ndarray, length: int) -> None:
    """The convolutions, their ends and the attention are those of the network offline."""
    samples, frames = voice[:length], max(1, round(length / 640))
    fitted = np.pad(samples, (0, max(0, frames * 640 - length)))[: frames * 640]
    (wanted,) = whisper_steps(load_whisper("cpu"), [fitted])
    stream = WhisperStream(load_whisper("cpu"), context=EVERYTHING, ahead=EVERYTHING)
    np.testing.assert_allclose(_in_blocks(stream, samples, [length // 3]), wanted, atol=2e-5)


@settings(max_examples=4, deadline=None)
@given(st.lists(st.integers(0, 640 * 14), max_size=12), st.integers(640 * 12, 640 * 14))
def test_blocks_change_nothing(voice: np.ndarray, cuts: list[int], length: int) -> None:
    samples = voice[:length] * np.float32(0.2)
    whole = _in_blocks(FeatureStream.open(WHISPER), samples, [])
    pieces = _in_blocks(FeatureStream.open(WHISPER), samples, cuts)
    assert len(whole) == max(1, round(length / 640))
    np.testing.assert_array_equal(whole, pieces)


def test_a_frame_comes_with_the_sample_that_it_needs(voice: np.ndarray) -> None:
    stream, given_ = FeatureStream.open(WHISPER), 0
    needed = frame_needs(3, stream.ahead)
    given_ += len(stream.push(voice[: needed - 1]))
    assert given_ == 3
    assert len(stream.push(voice[needed - 1 : needed])) == 2, "two frames are heard at once"


def test_a_bounded_stretch_says_nearly_the_same(voice: np.ndarray) -> None:
    """docs/live.md has the figures on more voices."""
    (whole,) = whisper_steps(load_whisper("cpu"), [voice])
    found = _in_blocks(WhisperStream(load_whisper("cpu")), voice, [])
    channels = [np.corrcoef(a, b)[0, 1] for a, b in zip(found.T, whole.T, strict=True)]
    assert np.median(channels) > 0.9
    less = _in_blocks(WhisperStream(load_whisper("cpu"), ahead=2), voice, [])
    assert np.abs(less - whole).mean() > 1.1 * np.abs(found - whole).mean()


def test_positions_begin_anew_and_nothing_grows(voice: np.ndarray) -> None:
    """Past the end of a piece the context is heard again at its new place: silence stays silence."""
    stream = WhisperStream(load_whisper("cpu"), context=20, ahead=2)
    steps = stream.push(np.zeros((PIECE // 2 + 30) * 640, np.float32))
    assert len(steps) == PIECE + 60 - 4 - 2
    around = steps[PIECE - 25 : PIECE + 25]
    assert np.abs(np.diff(around, axis=0)).mean() < 0.08, "as uneven as silence may be"
    kept = (stream._samples, stream._fresh, stream._kept, *(keys for keys, _ in stream._pasts))
    assert [len(value) for value in kept[:3]] <= [2600, 2, 20] and all(keys.shape[2] <= 20 for keys in kept[3:])


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_an_odd_look_ahead_is_refused(ahead: int) -> None:
    with pytest.raises(PermanentError, match="expected ahead 2, 4, 6"):
        WhisperStream(load_whisper("cpu"), ahead=ahead)


def test_a_feature_of_the_whole_sound_is_refused() -> None:
    with pytest.raises(UserError, match=r"`deepspeech-small-1`, which needs the whole sound.*--preset base"):
        FeatureStream.open("deepspeech-small-1")


@pytest.mark.parametrize("gain", [0.05, 1.0, 3.0])
def test_the_level_comes_to_that_of_the_whole_sound(voice: np.ndarray, gain: float) -> None:
    loud = np.clip(np.tile(voice, 3) * np.float32(gain), -1, 1).astype(np.float32)
    levelled = LevelStream().push(loud)
    assert levelled.shape == loud.shape and np.abs(levelled).max() <= 1
    level = speech_level(levelled[len(voice) :])
    assert level is not None and abs(level - SPEECH_DBFS) < 2.0


def test_silence_and_steady_noise_are_left_alone() -> None:
    noise = np.random.default_rng(0).normal(0, 1e-3, 16_000).astype(np.float32)
    for samples in (np.zeros(16_000, np.float32), noise):
        np.testing.assert_array_equal(LevelStream().push(samples), samples)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 6400), max_size=9))
def test_the_level_does_not_know_of_blocks(cuts: list[int]) -> None:
    samples = (np.random.default_rng(1).normal(0, 0.1, 6400) * np.linspace(0, 1, 6400)).astype(np.float32)
    stream = LevelStream()
    parts = [stream.push(block) for block in np.split(samples, sorted(cuts))]
    np.testing.assert_allclose(np.concatenate(parts), LevelStream().push(samples), atol=1e-6)


def test_the_features_are_close_to_those_offline(voice: np.ndarray) -> None:
    stream = _in_blocks(FeatureStream.open(WHISPER), voice, [5000])
    whole = speech_features(voice, len(stream), WHISPER)
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(stream.T, whole.T, strict=True)]
    assert stream.shape == whole.shape and np.median(r) > 0.85
