"""The styles that are shipped: every emotion at three strengths, performed by one person who says the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from magictalk_core.models.emodiff.styles import StyleBank
from magictalk_core.recipes.base_models.expressions import MANNERS, STRENGTHS, Manner
from magictalk_core.recipes.base_models.performance import PLAIN, perform
from magictalk_core.recipes.base_voice.recordings import Recording
from magictalk_core.vocabulary.arkit import POSE_NAMES, STATE_NAMES
from magictalk_core.vocabulary.emotions import NEUTRAL

__all__ = ["style_bank"]

FRAMES = 32
_SEED = 19


def style_bank(recordings: Sequence[Recording]) -> StyleBank:
    """`happy_1`, `happy_2`, `happy_3` and so on, `neutral_1`; an emotion's name means its fullest.

    All styles are the same seconds of speech with the same blinks, so they differ in the mood alone, and mixed frames
    are those of a weaker mood. Heads are held as the emotion holds them, whichever way they were turned.
    """
    clips: dict[str, NDArray[np.float32]] = {}
    emotions: dict[str, list[str]] = {}
    for emotion, manner in MANNERS.items():
        levels = {1: 0.0} if emotion == NEUTRAL else STRENGTHS
        clips |= {f"{emotion}_{level}": _frames(recordings, manner, strength) for level, strength in levels.items()}
        emotions[emotion] = [f"{emotion}_{max(levels)}"]
    return StyleBank(clips, emotions)


def _frames(recordings: Sequence[Recording], manner: Manner, strength: float) -> NDArray[np.float32]:
    parts = [
        perform(one.mouth, manner, strength, PLAIN, np.random.default_rng([_SEED, number]))
        for number, one in enumerate(recordings)
    ]
    motion = np.concatenate(parts)
    frames = motion[np.linspace(0, len(motion) - 1, FRAMES).round().astype(int)]
    for name in POSE_NAMES:
        column = STATE_NAMES.index(name)
        frames[:, column] += strength * manner.pose.get(name, 0.0) - frames[:, column].mean()
    return np.ascontiguousarray(frames)
