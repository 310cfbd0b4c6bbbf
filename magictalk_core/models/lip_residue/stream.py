"""The refined mouth of speech that goes on."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from magictalk_core.models.audio2bs.stream import Audio2BSStream
from magictalk_core.models.lip_residue.model import LipRefiner
from magictalk_core.training_set.channels import columns_of

__all__ = ["MouthStream"]

Mouth = NDArray[np.float32]

_LEVEL_FRAMES = 50
"""What the mean mouth of the training split weighs, in frames, against what was said so far: 2 s."""


class MouthStream:
    """Speech features in, mouths (n, M) in 0..1 out, columns `LipRefiner.mouth`; `finish` ends it.

    Frame by frame the values of `LipRefiner.mouth_of`, but for refiners that move around the level of the style:
    offline the mean over the whole clip gives way to it, here the mean so far does.
    """

    def __init__(self, refiner: LipRefiner, style: Mouth, channels: tuple[str, ...], look_ahead: int | None) -> None:
        """style (k, D) frames of a reference clip, columns named by `channels`; `look_ahead` as in `Audio2BSStream`."""
        self.refiner = refiner
        self.audio2bs = Audio2BSStream(refiner.audio2bs, look_ahead, states=not refiner.network.reads_mouth)
        self._style = refiner.style_of(style, channels)
        with torch.inference_mode():
            self._emotion = refiner.network.emotion(self._style.clip)
        self._sum = _LEVEL_FRAMES * self._trained_level()
        self._count = _LEVEL_FRAMES

    def push(self, speech: NDArray[np.float32]) -> Mouth:
        """The mouths that the features (n, F) make known."""
        return self._refined(*self.audio2bs.push(self.refiner.folder.features.normal(torch.from_numpy(speech))))

    def finish(self) -> Mouth:
        """The mouths that are left."""
        return self._refined(*self.audio2bs.finish())

    def _trained_level(self) -> Tensor:
        """(M,) mean of the mouth in training."""
        folder = self.refiner.folder
        return folder.states.mean[columns_of(self.refiner.mouth, folder.channels, str(folder.path))]

    @torch.inference_mode()
    def _refined(self, neutral: Tensor, state: Tensor) -> Mouth:
        if not len(neutral):
            return np.zeros((0, len(self.refiner.mouth)), np.float32)
        mouth = neutral + self.refiner.network.added(neutral[None], state[None], self._emotion)[0]
        if self.refiner.config.relative_to_style:
            sums = self._sum + mouth.cumsum(dim=0)
            counts = self._count + torch.arange(1, len(mouth) + 1)[:, None]
            self._sum, self._count = sums[-1], self._count + len(mouth)
            mouth = mouth - sums / counts + self._style.level
        return np.asarray(mouth.clamp(0, 1).numpy(), np.float32)
