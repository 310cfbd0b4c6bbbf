"""Sound of any format on its way to one channel."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["ChannelLevels", "Stretch"]

_JUMP_S = 0.05
_CANCELLED = 0.2
"""Power of the mean of all channels, times the square of their number, relative to the loudest channel: 1 where one
channel alone sounds, more where they say the same, 0 where they are opposites. Below this they cancel each other."""


class ChannelLevels:
    """The power of every channel of a sound, and of what remains when they are mixed."""

    def __init__(self) -> None:
        self._channels: NDArray[np.float64] | None = None
        self._mixed = 0.0

    def add(self, samples: NDArray[Any]) -> None:
        """`samples` (channels, n), as decoded; sounds that change their number of channels are not judged."""
        values = samples.astype(np.float64) - (128 if samples.dtype == np.uint8 else 0)
        powers = np.square(values).sum(axis=1)
        if self._channels is not None and len(self._channels) != len(powers):
            self._channels = np.zeros(len(powers))
        self._channels = powers if self._channels is None else self._channels + powers
        self._mixed += float(np.square(values.sum(axis=0)).sum())

    def instead(self) -> tuple[int, int] | None:
        """(loudest channel, number of channels) where channels cancel each other, else None."""
        if self._channels is None or len(self._channels) < 2:
            return None
        loudest = int(self._channels.argmax())
        cancelled = self._mixed < _CANCELLED * self._channels[loudest]
        return (loudest, len(self._channels)) if cancelled else None


class Stretch:
    """Consecutive audio frames of one format on their way to mono at the target rate.

    `channel` is taken alone, or all are mixed; `levels` hears every channel.
    """

    def __init__(self, frame: Any, time_s: float, sample_rate: int, channel: int | None, levels: ChannelLevels) -> None:
        self.time_s = time_s
        self._end_s = time_s
        self._format = _format_of(frame)
        self._channel, self._levels = channel, levels
        # 32-bit integers, not floats: the mixer scales a down-mix to full range only for integer output, so that loud
        # stereo does not clip.
        self._resampler = av.AudioResampler(format="s32", layout="mono", rate=sample_rate)
        self._blocks: list[NDArray[np.int32]] = []

    def takes(self, frame: Any, time_s: float | None) -> bool:
        jump = 0.0 if time_s is None else abs(time_s - self._end_s)
        return jump <= _JUMP_S and _format_of(frame) == self._format

    def add(self, frame: Any) -> None:
        self._end_s += frame.samples / frame.sample_rate
        frame = self._as_taken(frame)
        frame.pts = None
        self._blocks += [block.to_ndarray().reshape(-1) for block in self._resampler.resample(frame)]

    def _as_taken(self, frame: Any) -> Any:
        """The frame without what is no number, and of its channels the one that is wanted."""
        samples = _by_channel(frame)
        finite = samples.dtype.kind != "f" or bool(np.isfinite(samples).all())
        if not finite:
            samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        if len(samples) > 1:
            self._levels.add(samples)
        if finite and self._channel is None:
            return frame
        layout = frame.layout.name
        if self._channel is not None:
            samples, layout = samples[self._channel : self._channel + 1], "mono"
        packed = np.ascontiguousarray(samples.T).reshape(1, -1)
        made = av.AudioFrame.from_ndarray(packed, format=frame.format.packed.name, layout=layout)
        made.sample_rate = frame.sample_rate
        return made

    def finish(self) -> tuple[float, NDArray[np.float32]]:
        self._blocks += [block.to_ndarray().reshape(-1) for block in self._resampler.resample(None)]
        samples = np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int32)
        return self.time_s, samples.astype(np.float32) / np.float32(2**31)


def _by_channel(frame: Any) -> NDArray[Any]:
    """(channels, n) samples as decoded."""
    samples: NDArray[Any] = frame.to_ndarray()
    return samples if frame.format.is_planar else samples.reshape(-1, frame.layout.nb_channels).T


def _format_of(frame: Any) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate
