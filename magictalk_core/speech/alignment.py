"""From 50 steps per second to 25 video frames per second, in the ways that the followed works do it.

`stacked_steps` gives a frame the two steps that lie in it: 58 values, nothing is lost. `averaged_steps` gives it their
mean, where a step is wide and already knows its neighbours. `interpolated_steps` is VOCA's
(TimoBolkart/voca utils/audio_handler.py) linear interpolation per channel: 29 values. `step_windows` gives a frame the
16 steps around it, AD-NeRF's (YudongGuo/AD-NeRF data_util/deepspeech_features) and VOCA's window.

Every function returns exactly `n_frames` rows of float32, whatever the number of steps; step k lies at k / 50 s and
frame i at i / 25 s, both counted from the beginning of the sound.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from magictalk_core.speech.mfcc import STEPS_PER_SECOND
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["STEPS_PER_FRAME", "averaged_steps", "frame_count", "interpolated_steps", "stacked_steps", "step_windows"]

STEPS_PER_FRAME = STEPS_PER_SECOND // FRAME_RATE

Steps = NDArray[np.float32]


def frame_count(duration_s: float, fps: float = FRAME_RATE) -> int:
    """Frames of a sound: `round(duration * fps)` with Python's rounding, as VOCA and AD-NeRF count them."""
    return round(duration_s * fps)


def stacked_steps(steps: Steps, n_frames: int) -> Steps:
    """(n_frames, 2 C) of (steps, C): frame i holds step 2 i and step 2 i + 1.

    Frames behind the last step repeat it; steps behind the last frame are left out. No steps at all: zeros.
    """
    pairs = _held(steps, STEPS_PER_FRAME * n_frames)
    return pairs.reshape(n_frames, STEPS_PER_FRAME * steps.shape[1])


def averaged_steps(steps: Steps, n_frames: int) -> Steps:
    """(n_frames, C) of (steps, C): frame i holds the mean of step 2 i and step 2 i + 1; ends as in `stacked_steps`."""
    pairs = _held(steps, STEPS_PER_FRAME * n_frames)
    return np.asarray(pairs.reshape(n_frames, STEPS_PER_FRAME, steps.shape[1]).mean(axis=1), np.float32)


def interpolated_steps(steps: Steps, n_frames: int, fps: float = FRAME_RATE) -> Steps:
    """(n_frames, C) of (steps, C): every channel at time i / fps, linear between steps, constant behind the last.

    `n_frames` is `frame_count(duration, fps)` in the followed works.
    """
    if not len(steps):
        return _held(steps, n_frames)
    places = np.minimum(np.arange(n_frames) * (STEPS_PER_SECOND / fps), len(steps) - 1)
    before = places.astype(np.int64)
    after = np.minimum(before + 1, len(steps) - 1)
    share = (places - before)[:, None]
    return np.asarray((1 - share) * steps[before] + share * steps[after], np.float32)


def step_windows(steps: Steps, n_frames: int, size: int = 16, stride: int = STEPS_PER_FRAME) -> Steps:
    """(n_frames, size, C) of (steps, C): frame i holds the `size` steps from `stride * i - size / 2` on.

    Zeros lie before the first and behind the last step, as the followed works pad them. AD-NeRF: 16 and 2 at 50 steps
    per second; VOCA: 16 and 1 over steps already interpolated to the rate of the frames.
    """
    needed = max(0, (n_frames - 1) * stride + size - size // 2 - len(steps))
    padded = np.pad(steps, ((size // 2, needed), (0, 0)))
    starts = stride * np.arange(n_frames)[:, None] + np.arange(size)
    return np.asarray(padded[starts], np.float32)


def _held(steps: Steps, length: int) -> Steps:
    """The first `length` rows, the last one repeated where there are fewer; zeros where there is none."""
    kept = steps[:length].astype(np.float32)
    missing = length - len(kept)
    return np.pad(kept, ((0, missing), (0, 0)), mode="edge" if len(kept) else "constant")
