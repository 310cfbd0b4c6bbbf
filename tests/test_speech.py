"""Speech features: what each band hears, when, and how loud does not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import stft

from magictalk_core.errors import UserError
from magictalk_core.media.audio import write_wav
from magictalk_core.speech.features import speech_clip, speech_features
from magictalk_core.speech.logmel import BANDS, FLOOR, HOP, WINDOW, log_mel, mel_filters
from magictalk_core.storage.schema import SPEECH
from magictalk_core.storage.validation import validate
from magictalk_core.vocabulary.rates import SAMPLE_RATE


def tone(hz: float, seconds: float) -> NDArray[np.float32]:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype(np.float32)


def centres() -> NDArray[np.float64]:
    """Hz of the middle of every band, by the textbook formula of HTK's mel scale."""
    edges = np.linspace(*(2595 * np.log10(1 + np.array([60.0, 7600.0]) / 700)), BANDS + 2)
    return np.asarray(700 * (10 ** (edges[1:-1] / 2595) - 1))


def test_the_power_spectrum_is_scipys() -> None:
    signal = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    found = log_mel(signal, 25)
    padded = np.concatenate([np.zeros(WINDOW // 2 - HOP // 2), signal, np.zeros(WINDOW)])
    _, _, spectrum = stft(padded, window="hann", nperseg=WINDOW, noverlap=WINDOW - HOP, boundary=None, padded=False)
    power = np.abs(spectrum.T[:25] * (WINDOW / 2)) ** 2 / WINDOW
    energy = np.log(power @ mel_filters().T + 1e-10)
    np.testing.assert_allclose(found, np.clip(energy - np.quantile(energy, 0.95), FLOOR, None), atol=1e-4)


@pytest.mark.parametrize("band", [3, 10, 20, 27])
def test_a_tone_is_loudest_in_its_band(band: int) -> None:
    energy = log_mel(tone(centres()[band], 1.0), 25)[5:20].mean(axis=0)
    assert energy.argmax() == band


def test_a_sound_appears_in_the_frame_that_it_is_in() -> None:
    signal = np.zeros(2 * SAMPLE_RATE, np.float32)
    # Frame 20 spans 0.80-0.84 s.
    signal[round(0.815 * SAMPLE_RATE) : round(0.825 * SAMPLE_RATE)] = tone(1000, 0.01)
    assert log_mel(signal, 50).max(axis=1).argmax() == 20


@settings(max_examples=15, deadline=None)
@given(st.floats(0.05, 3.0))
def test_loudness_does_not_matter(gain: float) -> None:
    signal = np.random.default_rng(1).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
    np.testing.assert_allclose(log_mel(signal * np.float32(gain), 25), log_mel(signal, 25), atol=1e-2)


@pytest.mark.parametrize("frames", [0, 1, 24, 25, 60])
def test_there_is_one_row_per_frame_whatever_the_length_of_the_sound(frames: int) -> None:
    for samples in (tone(300, 1.0), np.zeros(16_000, np.float32), np.zeros(0, np.float32)):
        found = log_mel(samples, frames)
        assert found.shape == (frames, BANDS) and found.dtype == np.float32 and np.isfinite(found).all()


def test_broken_samples_do_not_reach_the_table() -> None:
    samples = tone(300, 1.0)
    samples[100:200] = np.nan
    assert np.isfinite(speech_features(samples, 25, "logmel-29-1")).all()
    with pytest.raises(UserError, match="no speech feature `mfcc`; known: logmel-29-1"):
        speech_features(samples, 25, "mfcc")


def test_a_clip_becomes_rows_of_the_contract(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("speech") / "a.wav"
    write_wav(path, tone(500, 1.0), SAMPLE_RATE)
    table = speech_clip(path, "c/s/1", 25, "logmel-29-1")
    validate(SPEECH, table, where="test")
    assert len(table) == 25 and len(table["features"][0].as_py()) == BANDS
