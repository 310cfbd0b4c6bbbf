"""Audio2BS of speech that goes on: a frame's mouth as soon as the features around it are known."""

from __future__ import annotations

import torch
from torch import Tensor

from magictalk_core.models.audio2bs.model import Audio2BSModel
from magictalk_core.training_set.speech_context import speech_around

__all__ = ["Audio2BSStream"]


class Audio2BSStream:
    """Features in, neutral mouths out; with the whole look-ahead of the network the values of `Audio2BSModel.neutral`.

    `look_ahead`: features behind a frame that are waited for; those that the network would see beyond them are the last
    one again. None: all that it sees.
    """

    def __init__(self, model: Audio2BSModel, look_ahead: int | None = None, states: bool = True) -> None:
        """Without `states`, which nobody then reads, an LSTM that has no say in the mouth is not asked: they are 0."""
        self.model = model
        self._is_base_alone = not states and model.network.is_base_alone
        window, width = model.config.window, model.config.feature_frames
        before = (window - 1) // 2 + (width - 1) // 2
        whole = window - 1 + width - 1 - before
        self.look_ahead = whole if look_ahead is None else min(look_ahead, whole)
        self._behind = before
        self._features, self._start = torch.zeros(0, model.folder.feature_size), 0
        self._frame = 0

    def push(self, speech: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised features (n, F) -> neutral mouth (m, M) in 0..1 and states (m, H) of the frames now known."""
        self._features = torch.cat([self._features, speech])
        return self._known(self._start + len(self._features) - self.look_ahead)

    def finish(self) -> tuple[Tensor, Tensor]:
        """The frames that are left: behind the end the last feature is repeated, as it is offline."""
        return self._known(self._start + len(self._features))

    @torch.no_grad()
    def _known(self, until: int) -> tuple[Tensor, Tensor]:
        frames = torch.arange(self._frame, max(self._frame, until))
        if not len(frames):
            mouth = torch.zeros(0, len(self.model.mouth))
            return mouth, torch.zeros(0, self.model.config.hidden)
        window = self.model.config.window
        places = frames[:, None] + torch.arange(window) - (window - 1) // 2
        # A block may bring more than a frame waits for: it counts no more than it would have, had it come later.
        high = (frames + self.look_ahead + 1).clamp(max=self._start + len(self._features)) - self._start
        low = torch.full_like(high, -self._start).clamp(min=0)
        around = speech_around(self._features, places - self._start, low, high, self.model.config.feature_frames)
        if self._is_base_alone:
            mouth = self.model.network.read_base(around)
            state = mouth.new_zeros(len(mouth), 1, self.model.config.hidden)
        else:
            mouth, state = self.model.network(around)
        self._frame = int(frames[-1]) + 1
        unused = max(0, self._frame - self._behind - self._start)
        self._features, self._start = self._features[unused:], self._start + unused
        return mouth[:, 0], state[:, 0]
