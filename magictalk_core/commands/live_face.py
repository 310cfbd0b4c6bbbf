"""A face that moves while somebody speaks: blocks of sound in, finished frames out.

::

    face = LiveFace.open(workspace, "happy")
    for block in microphone:             # float samples, 16 kHz mono, any size
        for frame in face.push(block):   # (58,) columns MOTION_NAMES, 25 a second
            ...

The frames are the same however the sound was cut. Each comes as soon as what it hears is there (`look_ahead_s`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.commands.opened_models import LivePerformers, open_live_models
from magictalk_core.errors import UserError
from magictalk_core.models.emodiff.stream import EmoDiffStream
from magictalk_core.models.lip_residue.stream import MouthStream
from magictalk_core.models.methods import to_motion
from magictalk_core.speech.activity import VoiceActivity, activity_needs
from magictalk_core.speech.feature_stream import FeatureStream, frame_needs
from magictalk_core.training_set.channels import columns_of
from magictalk_core.vocabulary.rates import FRAME_RATE, SAMPLE_RATE
from magictalk_core.workspace import Workspace

__all__ = ["LiveFace", "live_frames"]

_WARM_UP_S = 1.0

Frames = NDArray[np.float32]


class LiveFace:
    """One take. `models` is who performs, `style` the name that was meant."""

    def __init__(self, models: LivePerformers, style: str, intensity: float = 1.0, seed: int = 0) -> None:
        """Raises `UserError` for an unknown style, and models that need the whole sound or do not fit together."""
        self.models, self.style = models, models.styles.name_of(style)
        frames = models.styles.at_intensity(self.style, intensity)
        motion, refiner = models.motion, models.refiner
        if refiner.feature_id != motion.feature_id:
            raise UserError(
                f"live: EmoDiff hears `{motion.feature_id}`, the lip models `{refiner.feature_id}`: train both on one"
            )
        self._features = FeatureStream.open(motion.feature_id)
        lips = refiner.audio2bs.config
        # A linear base reads the feature about the frame; what its correction would hear beyond is held.
        reach = lips.feature_frames // 2 if lips.base == "linear" else None
        self._mouth = MouthStream(refiner, frames, motion.channels, reach)
        self._motion = EmoDiffStream(motion, frames, seed, self._mouth.audio2bs.look_ahead)
        self._finish = motion.finish(frames, self._motion.first, seed)
        self._activity = VoiceActivity()
        self._voice = np.zeros(0, np.float32)
        self._columns = columns_of(refiner.mouth, motion.channels, "live")
        self._states = np.zeros((0, len(motion.channels)), np.float32)
        self._mouths = np.zeros((0, len(refiner.mouth)), np.float32)

    @classmethod
    def open(
        cls, workspace: Workspace, style: str, *, model: Path | None = None, intensity: float = 1.0, seed: int = 0
    ) -> LiveFace:
        """`model` as in `opened_models.open_models`. The first block is as fast as any other. Raises `UserError`."""
        models = open_live_models(workspace, model)
        cls(models, style, intensity, seed).push(np.zeros(round(_WARM_UP_S * SAMPLE_RATE), np.float32))
        return cls(models, style, intensity, seed)

    @property
    def look_ahead_s(self) -> float:
        """Seconds from a frame's time to the end of the sound that it waits for, of the one that waits longest."""
        waits = (self.samples_needed(frame) / SAMPLE_RATE - frame / FRAME_RATE for frame in range(FRAME_RATE))
        return max(waits)

    def samples_needed(self, frame: int) -> int:
        """Samples of the sound with which `frame` comes."""
        heard = frame_needs(frame + self._mouth.audio2bs.look_ahead, self._features.ahead)
        return max(heard, activity_needs(frame))

    def push(self, samples: NDArray[np.floating]) -> Frames:
        """(n, 58) at 25 frames per second, columns `MOTION_NAMES`, NaN in channels that nobody makes: the frames that
        16 kHz mono samples (m,) in [-1, 1] make known."""
        sound = np.asarray(samples, np.float32).reshape(-1)
        self._voice = np.concatenate([self._voice, self._activity.push(np.nan_to_num(sound))])
        return self._heard(self._features.push(sound))

    def finish(self) -> Frames:
        """The frames that are left: in all as many as `animate` makes of the sound."""
        self._voice = np.concatenate([self._voice, self._activity.push(np.zeros(0, np.float32), is_last=True)])
        last = self._heard(self._features.finish())
        return np.concatenate([last, self._joined(self._motion.finish(), self._mouth.finish(), is_last=True)])

    def _heard(self, heard: Frames) -> Frames:
        return self._joined(self._motion.push(heard), self._mouth.push(heard))

    def _joined(self, states: Frames, mouths: Frames, is_last: bool = False) -> Frames:
        self._states = np.concatenate([self._states, states])
        self._mouths = np.concatenate([self._mouths, mouths])
        if is_last:
            # A sound that ends within a frame has one more of these or one less than frames.
            self._voice = np.pad(self._voice, (0, max(0, len(self._states) - len(self._voice))))
        done = min(len(self._states), len(self._mouths), len(self._voice))
        if done == 0:
            return to_motion(self._states[:0], self.models.motion.channels)
        whole = self._states[:done].copy()
        whole[:, self._columns] = self._mouths[:done]
        whole = self._finish.push(whole, self._voice[:done])
        self._states, self._mouths, self._voice = self._states[done:], self._mouths[done:], self._voice[done:]
        return to_motion(whole, self.models.motion.channels)


def live_frames(face: LiveFace, blocks: Iterable[NDArray[np.floating]]) -> Iterator[Frames]:
    """Every frame (58,) of the sound in `blocks`, as it comes."""
    for block in blocks:
        yield from face.push(block)
    yield from face.finish()
