"""Speech features of a sound that goes on: one vector per 25 fps frame, as soon as it can be known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.speech.alignment import STEPS_PER_FRAME, averaged_steps
from magictalk_core.speech.features import WHISPER, feature_spec
from magictalk_core.speech.level_stream import LevelStream
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE

if TYPE_CHECKING:
    from magictalk_core.speech.whisper_stream import WhisperStream

__all__ = ["FeatureStream", "frame_needs"]

Values = NDArray[np.float32]


def frame_needs(frame: int, ahead: int) -> int:
    """Samples of a sound after which `FeatureStream` with so many steps `ahead` gives the feature of a frame."""
    from magictalk_core.speech.whisper_stream import FRAMES_AT_ONCE, SAMPLES_AHEAD

    heard_with = (frame + ahead // STEPS_PER_FRAME) // FRAMES_AT_ONCE
    return (heard_with + 1) * FRAMES_AT_ONCE * SAMPLE_RATE // FRAME_RATE + SAMPLES_AHEAD


class FeatureStream:
    """Blocks of 16 kHz mono samples of any size in, features (n, 384) of `whisper-tiny-en-l2` out.

    Against the features of the whole sound two things differ, both bounded (docs/live.md): a step hears a stretch
    around it instead of everything, and the level is that of what was said so far.
    """

    def __init__(self, stream: WhisperStream) -> None:
        self._stream, self._level = stream, LevelStream()
        self._left = np.zeros((0, feature_spec(WHISPER).size), np.float32)

    @property
    def ahead(self) -> int:
        """Steps behind a frame that are waited for."""
        return self._stream.ahead

    @classmethod
    def open(cls, feature_id: str, ahead: int | None = None) -> FeatureStream:
        """Raises `UserError` for a feature that needs the whole sound."""
        if feature_id != WHISPER:
            raise UserError(
                f"live: the models were trained on `{feature_id}`, which needs the whole sound; only `{WHISPER}` is "
                "heard while somebody speaks: train on it with `magictalk run --preset base`"
            )
        from magictalk_core.speech.whisper import load_whisper
        from magictalk_core.speech.whisper_stream import AHEAD_STEPS, WhisperStream

        return cls(WhisperStream(load_whisper("cpu"), ahead=AHEAD_STEPS if ahead is None else ahead))

    def push(self, samples: Values) -> Values:
        """The features that became known; samples in [-1, 1], what is no number counts as silence."""
        clean = np.clip(np.nan_to_num(samples), -1.0, 1.0).astype(np.float32)
        return self._frames(self._stream.push(self._level.push(clean)))

    def finish(self) -> Values:
        """The features that are left: `frame_count` in all, at least one."""
        return self._frames(self._stream.finish())

    def _frames(self, steps: Values) -> Values:
        steps = np.concatenate([self._left, steps])
        frames = len(steps) // STEPS_PER_FRAME
        self._left = steps[frames * STEPS_PER_FRAME :]
        return averaged_steps(steps[: frames * STEPS_PER_FRAME], frames)
