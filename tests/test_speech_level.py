"""A voice says the same at any level, and what is no voice is not made one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from magictalk_core.commands.speech import featurize_file
from magictalk_core.media.audio import write_wav
from magictalk_core.media.decode import read_audio
from magictalk_core.speech.features import FEATURES, speech_features
from magictalk_core.speech.level import (
    MAX_GAIN_DB,
    ORDINARY_DBFS,
    SPEECH_DBFS,
    at_speech_level,
    speech_level,
)
from magictalk_core.speech.logmel import FLOOR

SMALL, LOG_MEL = "deepspeech-small-1", "logmel-29-1"
BLANK = 28
FRAMES = 75
Samples = NDArray[np.float32]


def gained(samples: Samples, db: float) -> Samples:
    return np.asarray(np.clip(samples * 10 ** (db / 20), -1, 1), np.float32)


def in_16_bits(samples: Samples) -> Samples:
    return np.asarray(np.round(samples * 32767) / 32767, np.float32)


def babble(dbfs: float = -9.0) -> Samples:
    """Three seconds of syllables: a buzz with formants that opens and closes four times a second, over a quiet room."""
    rng, time = np.random.default_rng(3), np.arange(FRAMES * 640) / 16_000
    pitch = 2 * np.pi * np.cumsum(120 + 20 * np.sin(3 * time)) / 16_000
    buzz = sum(np.sin(k * pitch) / k * (1 + np.sin(time * (5 + k))) for k in range(1, 20))
    voice = buzz * np.clip(np.sin(2 * np.pi * 4 * time), 0, None) ** 2 * (1 + 0.5 * np.sin(1.7 * time))
    return gained(np.asarray(voice / np.abs(voice).max() + rng.normal(0, 1e-3, len(time)), np.float32), dbfs)


def noise_of(colour: str, dbfs: float) -> Samples:
    white = np.random.default_rng(5).normal(size=FRAMES * 640)
    spectrum, hertz = np.fft.rfft(white), np.maximum(np.fft.rfftfreq(len(white), 1 / 16_000), 20)
    shaped = np.fft.irfft(spectrum * hertz ** {"white": 0.0, "pink": -0.5, "brown": -1.0}[colour])
    return np.asarray(shaped / shaped.std() * 10 ** (dbfs / 20), np.float32)


def letters(samples: Samples) -> NDArray[np.int64]:
    values = speech_features(samples, len(samples) // 640, SMALL)
    return np.asarray(values.reshape(-1, 29).argmax(axis=1))


@pytest.mark.parametrize("db", [-40.0, -20.0, 8.0])
@pytest.mark.parametrize("feature", [LOG_MEL, SMALL])
def test_the_features_of_a_voice_do_not_depend_on_its_level(feature: str, db: float) -> None:
    plain = speech_features(babble(), FRAMES, feature)
    np.testing.assert_allclose(speech_features(gained(babble(), db), FRAMES, feature), plain, atol=0.02)
    assert plain.std() > 0.5


@pytest.mark.shared
@pytest.mark.parametrize("name", ["clips/real3d_may_5s.mp4", "clips/edtalk_obama_20s.mp4", "audio/lsp_00083.wav"])
def test_a_real_voice_40_db_down_says_the_same_letters(shared: Path, name: str) -> None:
    voice = read_audio(shared / "samples" / name, 16_000)[: 5 * 16_000]
    plain = letters(voice)
    spoken = plain != BLANK
    assert spoken.mean() > 0.1
    assert (letters(gained(voice, -40)) == plain).mean() >= 0.95
    # What is written with 16 bits before it is made louder again has lost its pauses.
    assert (letters(in_16_bits(gained(voice, -20))) == plain).mean() >= 0.95
    assert (letters(in_16_bits(gained(voice, -40))) == plain)[spoken].mean() >= 0.5


def test_the_level_is_that_of_the_speech() -> None:
    voice = babble()
    level = speech_level(voice)
    assert level is not None
    padded = np.concatenate([np.zeros(8 * 16_000, np.float32), voice])
    clicked = voice.copy()
    clicked[8000:8100] = 1.0
    for other in (padded, clicked, voice + np.float32(0.2)):
        found = speech_level(other)
        assert found is not None and abs(found - level) < 1.5
    levelled = speech_level(at_speech_level(voice))
    assert levelled is not None and abs(levelled - SPEECH_DBFS) < 0.1


@pytest.mark.parametrize("colour", ["white", "pink", "brown"])
@pytest.mark.parametrize("dbfs", [-75.0, -55.0, -25.0])
def test_noise_is_not_made_a_voice(colour: str, dbfs: float) -> None:
    noise = noise_of(colour, dbfs)
    half = np.concatenate([np.zeros(len(noise) // 2, np.float32), noise[: len(noise) // 2]])
    for sound in (noise, half):
        assert speech_level(sound) is None and at_speech_level(sound) is sound
    if dbfs < -50:
        assert speech_features(noise, FRAMES, LOG_MEL).mean() < 0.4 * FLOOR
        assert (letters(noise) == BLANK).mean() > 0.95


def test_silence_and_hum_are_left_alone_and_gain_has_a_limit() -> None:
    hum = gained(np.sin(np.arange(32_000) * 2 * np.pi * 50 / 16_000).astype(np.float32), -60)
    for sound in (np.zeros(16_000, np.float32), np.zeros(0, np.float32), np.ones(5000, np.float32), hum):
        assert speech_level(sound) is None and at_speech_level(sound) is sound
    faint = gained(babble(), -65)
    louder = 20 * np.log10(at_speech_level(faint).std() / faint.std())
    assert louder == pytest.approx(MAX_GAIN_DB, abs=0.1)


def test_published_networks_hear_ordinary_levels_as_they_are() -> None:
    for name in ("deepspeech-0.9.3", "deepspeech-0.9.3-tflite", "deepspeech-0.1.0"):
        assert FEATURES[name].ordinary == ORDINARY_DBFS
        spec = FEATURES[name]
        assert spec.levelled(babble()) is not None and np.array_equal(spec.levelled(babble()), babble())
        quiet = speech_level(spec.levelled(gained(babble(), -40)))
        assert quiet == pytest.approx(SPEECH_DBFS, abs=0.1)
    assert FEATURES[SMALL].ordinary is None and FEATURES[LOG_MEL].ordinary is None


def test_the_steps_of_the_command_are_those_of_the_frames(tmp_path: Path) -> None:
    source = tmp_path / "quiet.wav"
    write_wav(source, gained(babble(), -30), 16_000)
    for layout in ("frames", "steps"):
        featurize_file(source, tmp_path / f"{layout}.npy", SMALL, layout, False)
    frames, steps = (np.load(tmp_path / f"{layout}.npy") for layout in ("frames", "steps"))
    np.testing.assert_allclose(frames.reshape(-1, 29), steps[: 2 * len(frames)], atol=1e-4)
