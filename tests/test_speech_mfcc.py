"""The two front ends against TensorFlow's operators and python_speech_features, whole and in pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from speech_fixtures import golden, golden_names, noise

from magictalk_core.speech.mfcc import (
    CONTEXT_SIZE,
    FrontEnd,
    MfccStream,
    context_windows,
    front_end_010,
    front_end_093,
    mfcc_010,
    mfcc_093,
    to_int16,
    whitening_010,
)

SIGNALS = golden_names("signal/")


def floats(name: str) -> NDArray[np.float32]:
    return (golden(f"signal/{name}").astype(np.float32) / np.float32(32768)).astype(np.float32)


@pytest.mark.parametrize("name", SIGNALS)
def test_093_is_tensorflows_audio_spectrogram_and_mfcc(name: str) -> None:
    expected = golden(f"mfcc_093/{name}")
    found = mfcc_093(floats(name))
    # The operators leave out the window that the end of the sound cuts.
    assert len(found) == len(expected) + 1
    np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-3)


@pytest.mark.parametrize("name", SIGNALS)
def test_the_last_window_of_093_is_completed_with_silence(name: str) -> None:
    samples = floats(name)
    longer = np.concatenate([samples, np.zeros(512, np.float32)])
    np.testing.assert_allclose(mfcc_093(samples), mfcc_093(longer)[: len(mfcc_093(samples))], atol=1e-5)


@pytest.mark.parametrize("name", SIGNALS)
def test_010_is_python_speech_features_with_every_second_step(name: str) -> None:
    np.testing.assert_allclose(
        mfcc_010(golden(f"signal/{name}").astype(np.int16)), golden(f"mfcc_010/{name}"), atol=1e-4
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 4000), st.lists(st.integers(1, 900), min_size=1, max_size=8), st.booleans())
def test_pieces_give_the_rows_of_the_whole(length: int, sizes: list[int], first: bool) -> None:
    samples = noise(0.25, seed=1)[:length]
    front_end: FrontEnd = front_end_093 if first else front_end_010
    whole = mfcc_093(samples) if first else mfcc_010(to_int16(samples))
    given_samples = samples if first else to_int16(samples)
    stream, rows, at = MfccStream(front_end), [], 0
    while at < len(given_samples):
        size = sizes[len(rows) % len(sizes)]
        rows.append(stream.push(given_samples[at : at + size]))
        at += size
    np.testing.assert_allclose(np.concatenate([*rows, stream.finish()]), whole, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 25, 33])
def test_a_video_frame_of_sound_is_two_steps(frames: int) -> None:
    samples = noise(frames / 25)
    assert len(mfcc_093(samples)) == len(mfcc_010(to_int16(samples))) == 2 * frames


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_next_to_no_sound_is_one_step(samples: int) -> None:
    sound = noise(1)[:samples]
    assert mfcc_093(sound).shape == mfcc_010(to_int16(sound)).shape == (1, 26)
    assert np.isfinite(mfcc_093(sound)).all() and np.isfinite(mfcc_010(to_int16(sound))).all()


@pytest.mark.parametrize("steps", [1, 5, 10, 40])
def test_context_is_nine_steps_on_either_side_and_zeros_beyond(steps: int) -> None:
    mfcc = np.random.default_rng(steps).normal(3, 2, (steps, 26)).astype(np.float32)
    expected = np.zeros((steps, 19, 26), np.float32)
    for step in range(steps):
        for offset in range(-9, 10):
            if 0 <= step + offset < steps:
                expected[step, offset + 9] = mfcc[step + offset]
    expected = expected.reshape(steps, CONTEXT_SIZE)
    np.testing.assert_array_equal(context_windows(mfcc), expected)
    for start in range(0, steps, 7):
        np.testing.assert_array_equal(context_windows(mfcc, start, start + 7), expected[start : start + 7])
    exact = expected.astype(np.float64)
    np.testing.assert_allclose(whitening_010(mfcc), (exact.mean(), exact.std()), rtol=1e-9)


def test_int16_values_come_back_from_floats() -> None:
    pcm = np.arange(-32768, 32768, 7).astype(np.int16)
    np.testing.assert_array_equal(to_int16(pcm.astype(np.float32) / np.float32(32768)), pcm)
    assert to_int16(np.array([2.0, -2.0], np.float32)).tolist() == [32767, -32768]
