"""50 steps per second to 25 frames per second: the same numbers as the followed works, and always one row per frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from magictalk_core.speech.alignment import frame_count, interpolated_steps, stacked_steps, step_windows


def random_steps(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(count).normal(size=(count, 29)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(0, 40))
def test_there_is_one_row_per_frame_whatever_the_number_of_steps(steps: int, frames: int) -> None:
    values = random_steps(steps)
    shapes = {
        (58,): stacked_steps(values, frames),
        (29,): interpolated_steps(values, frames),
        (16, 29): step_windows(values, frames),
    }
    for shape, found in shapes.items():
        assert found.shape == (frames, *shape) and found.dtype == np.float32 and np.isfinite(found).all()


def test_a_frame_holds_its_two_steps_and_the_last_step_is_held() -> None:
    values = random_steps(7)
    found = stacked_steps(values, 5)
    np.testing.assert_array_equal(found[1], np.concatenate([values[2], values[3]]))
    np.testing.assert_array_equal(found[3], np.concatenate([values[6], values[6]]))
    np.testing.assert_array_equal(found[4], np.concatenate([values[6], values[6]]))


@pytest.mark.parametrize("fps", [25, 30, 60])
def test_interpolation_is_vocas(fps: int) -> None:
    values = random_steps(101)
    length = frame_count(101 / 50, fps)
    assert length == round(2.02 * fps)
    # TimoBolkart/voca utils/audio_handler.py: both time lines begin at 0; numpy holds the last value.
    at, known = np.arange(length) / fps, np.arange(101) / 50
    expected = np.stack([np.interp(at, known, channel) for channel in values.T], axis=1)
    np.testing.assert_allclose(interpolated_steps(values, length, fps), expected, atol=1e-6)


@pytest.mark.parametrize(("size", "stride"), [(16, 2), (16, 1), (4, 2)])
def test_windows_are_ad_nerfs_and_vocas(size: int, stride: int) -> None:
    values = random_steps(50)
    zeros = np.zeros((size // 2, 29), np.float32)
    padded = np.concatenate([zeros, values, zeros])
    expected = np.stack([padded[i : i + size] for i in range(0, len(padded) - size, stride)])
    np.testing.assert_array_equal(step_windows(values, len(expected), size, stride), expected)
    longer = step_windows(values, len(expected) + 40, size, stride)
    np.testing.assert_array_equal(longer[: len(expected)], expected)
    assert not longer[-1].any()
