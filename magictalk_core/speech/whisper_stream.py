"""`whisper-tiny-en-l2` of a sound that goes on: samples in as they come, the steps that are final out.

The convolutions are those of the whole sound, bit for bit up to rounding. The two layers, which hear the whole piece
when it is there (`whisper.py`), hear `context` steps before a step and at least `ahead` behind it: two frames of video
at once bring four new steps, the last `ahead` ones are computed anew with them, and what is older stays as it was
heard. Keys and values of the context are kept, so that a step costs the same after an hour. Two frames, since most of
the time goes into reading the weights. Positions begin anew every `PIECE` steps as they do offline, with the context
heard again at its new place.

What comes out does not depend on how the samples were cut into blocks.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from magictalk_core.errors import PermanentError
from magictalk_core.speech.alignment import STEPS_PER_FRAME
from magictalk_core.speech.whisper import CONTEXT, MOST_STEPS, PIECE, STEP, WIDTH, Past, WhisperLayers, positions
from magictalk_core.speech.whisper_mel import HOP, WINDOW, scaled_log_mel, whisper_mel

__all__ = ["AHEAD_STEPS", "CONTEXT_STEPS", "FRAMES_AT_ONCE", "SAMPLES_AHEAD", "WhisperStream"]

CONTEXT_STEPS = 100
"""2 s before a step: hearing more changes the mouth by less than what is ahead does (docs/live.md)."""
AHEAD_STEPS = 6
"""At least 120 ms behind a step, 160 of every other frame's: the jaw then follows that of the whole sound with r 0.985;
with 80 ms 0.978."""
FRAMES_AT_ONCE = 2

_FRAME = STEPS_PER_FRAME * STEP
_MEL = _FRAME // HOP
"""Mel frames of a frame of video."""
_REACH = WINDOW // 2
SAMPLES_AHEAD = _REACH
"""Samples behind a frame of video that its own two steps need: the mel window centred on the frame's end."""

Samples = NDArray[np.float32]
Steps = NDArray[np.float32]


class WhisperStream:
    """One sound of 16 kHz mono samples in [-1, 1] at the level of the feature; `finish` ends it."""

    def __init__(self, network: WhisperLayers, context: int = CONTEXT_STEPS, ahead: int = AHEAD_STEPS) -> None:
        """`ahead` is even and at least 2: the last frame of video may have to be heard again at the end."""
        if ahead < STEPS_PER_FRAME or ahead % STEPS_PER_FRAME or context < 1:
            raise PermanentError(f"whisper stream: context {context}, ahead {ahead}: expected ahead 2, 4, 6, ...")
        self.network, self.context, self.ahead = network, context, ahead
        self._positions = positions(max(MOST_STEPS, PIECE + CONTEXT))
        self._samples, self._start = np.zeros(0, np.float32), 0
        self._frames = 0
        self._fresh, self._kept = torch.zeros(0, WIDTH), torch.zeros(0, WIDTH)
        self._given, self._base = 0, 0
        self._pasts: list[Past] = network.no_pasts()

    @property
    def _heard(self) -> int:
        """Samples of the sound so far."""
        return self._start + len(self._samples)

    def push(self, samples: Samples) -> Steps:
        """(n, 384): the steps that became final, 50 a second."""
        self._samples = np.concatenate([self._samples, samples.astype(np.float32)])
        found = []
        while self._heard >= (self._frames + FRAMES_AT_ONCE) * _FRAME + _REACH:
            found.append(self._hear(FRAMES_AT_ONCE, None, self.ahead))
        return np.concatenate(found) if found else np.zeros((0, WIDTH), np.float32)

    def finish(self) -> Steps:
        """The steps that are left: with them there are two for each of `frame_count` frames of video, at least one."""
        frames = max(1, round(self._heard / _FRAME))
        if self._frames == frames:
            # Its end was heard with what came behind, which is less than half a frame and does not count.
            self._frames, self._fresh = frames - 1, self._fresh[:-STEPS_PER_FRAME]
        end = frames * _FRAME
        self._samples = np.pad(self._samples, (0, max(0, end - self._heard)))
        found = []
        while self._frames < frames:
            found.append(self._hear(1, end, self.ahead if self._frames + 1 < frames else 0))
        return np.concatenate(found)

    @torch.inference_mode()
    def _hear(self, frames: int, end: int | None, ahead: int) -> Steps:
        """Hear the next frames of video of a sound of `end` samples; the steps that then have `ahead` ones behind."""
        if self._frames and self._frames * STEPS_PER_FRAME % PIECE == 0:
            self._begin_piece()
        self._fresh = torch.cat([self._fresh, self._convolved(self._frames, frames, end)])
        self._frames += frames
        done = self._frames * STEPS_PER_FRAME
        first = done - len(self._fresh)
        x = (self._fresh + self._positions[first - self._base : done - self._base])[None]
        final = max(0, len(self._fresh) - ahead)
        x, pasts = self.network.behind(x, self._pasts)
        stay = pasts[0][0].shape[2] - len(self._fresh) + final
        keep = slice(max(0, stay - self.context), stay)
        self._pasts = [(keys[:, :, keep], values[:, :, keep]) for keys, values in pasts]
        self._kept = torch.cat([self._kept, self._fresh[:final]])[-self.context :]
        self._fresh = self._fresh[final:]
        self._drop_samples()
        given, self._given = self._given, first + final
        return np.asarray(x[0, max(0, given - first) : final].numpy(), np.float32)

    def _begin_piece(self) -> None:
        """Positions of the next piece; the context is heard again at them."""
        self._fresh = torch.cat([self._kept, self._fresh])[-CONTEXT:]
        self._kept, self._pasts = self._kept[:0], self.network.no_pasts()
        self._base = self._frames * STEPS_PER_FRAME - CONTEXT

    def _convolved(self, frame: int, frames: int, end: int | None) -> Tensor:
        """(2 frames, 384) of the steps of frames of video from `frame` on, without their positions."""
        first = frame * _MEL - 2
        places = np.arange(first, first + frames * _MEL + 3)
        outside = places < 0 if end is None else (places < 0) | (places >= end // HOP)
        mel = whisper_mel(self._around(frame, frames, end))[2 : 2 + len(places)]
        mel = np.where(outside[:, None], np.float32(0), scaled_log_mel(mel))
        inside = torch.from_numpy(~outside[1:-1])[:, None]
        x = functional.gelu(_as_matrix(self.network.conv1, torch.from_numpy(mel), 1)) * inside
        return functional.gelu(_as_matrix(self.network.conv2, x, STEPS_PER_FRAME))

    def _around(self, frame: int, frames: int, end: int | None) -> Samples:
        """One frame of video before, the frames, and half of one behind, mirrored at the ends of the sound."""
        places = np.abs(np.arange((frame - 1) * _FRAME, (frame + frames) * _FRAME + _FRAME // 2))
        if end is not None:
            places = np.where(places >= end, 2 * (end - 1) - places, places)
        # What is not here yet, or was dropped, lies outside of the windows that are used.
        return np.asarray(self._samples[np.clip(places - self._start, 0, len(self._samples) - 1)], np.float32)

    def _drop_samples(self) -> None:
        """Keep those that the next frame needs, or this one, should it be heard again."""
        unused = max(0, (self._frames - 2) * _FRAME - self._start)
        self._samples, self._start = self._samples[unused:], self._start + unused


def _as_matrix(convolution: nn.Conv1d, x: Tensor, stride: int) -> Tensor:
    """`convolution` of x (n, channels) without padding, in one product: for a few rows torch's own takes longer."""
    windows = x.unfold(0, convolution.kernel_size[0], stride).flatten(1)
    return functional.linear(windows, convolution.weight.flatten(1), convolution.bias)
