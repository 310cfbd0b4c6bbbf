"""Does anybody speak in a sound? Music, noise and silence are no voice, and move a mouth all the same.

The shipped small network writes down letters. It hears some in anything, but in speech more of them, and surer ones:
what counts is how many it changes to in a second, each by its probability. Measured: 26 real voices 2.7 to 7.1 (the
least are six words of GRID in three seconds); music that we made, with drums and without, 0.5 to 2.4; noises, hum,
clicks and a siren 0 to 1.9. Singing was not measured.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from magictalk_core.speech.alignment import STEPS_PER_FRAME
from magictalk_core.speech.features import feature_spec, speech_features
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

__all__ = ["LEAST_LETTERS", "has_speech", "letters_per_second"]

LEAST_LETTERS = 2.5
"""Letters in a second, from which on somebody speaks."""

_NETWORK = "deepspeech-small-1"
_SPACE = 0
_STRETCH_S, _LOOKED_AT_S = 6.0, 60.0

Samples = NDArray[np.float32]


def letters_per_second(samples: Samples) -> float:
    """Of 16 kHz mono samples (n,) in [-1, 1]: of the six seconds with the most letters in the first minute."""
    heard = samples[: round(_LOOKED_AT_S * SAMPLE_RATE)]
    frames = len(heard) * FRAME_RATE // SAMPLE_RATE
    if frames == 0:
        return 0.0
    spec = feature_spec(_NETWORK)
    steps = speech_features(heard, frames, _NETWORK).reshape(-1, spec.classes)
    best, blank = steps.argmax(axis=1), spec.classes - 1
    begins = (np.diff(best, prepend=blank) != 0) & (best != blank) & (best != _SPACE)
    sure = np.where(begins, np.exp(steps.max(axis=1)), 0.0)
    stretch = min(len(sure), round(_STRETCH_S * FRAME_RATE * STEPS_PER_FRAME))
    total = np.concatenate([[0.0], np.cumsum(sure)])
    return float((total[stretch:] - total[:-stretch]).max() / stretch * FRAME_RATE * STEPS_PER_FRAME)


def has_speech(samples: Samples) -> bool:
    """Whether somebody speaks in the first minute of 16 kHz mono samples (n,)."""
    return letters_per_second(samples) >= LEAST_LETTERS
