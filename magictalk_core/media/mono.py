"""Sound of any format on its way to one channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["Levels", "Pick", "Stretch"]

_JUMP_S = 0.05
_CANCELLED = 0.2
"""Power of the sum of all channels relative to the loudest channel: 1 where one channel alone sounds, more where they
say the same, 0 where they are opposites. Below this they cancel each other."""
_SILENT_BESIDE = 1e-6
"""Power of a channel, relative to the loudest, that holds nothing but the rounding of a codec."""
_BEYOND = 2.0
"""Of full scale: floats that reach further are not the overshoot of a codec, and would be cut off."""


@dataclass(frozen=True)
class Pick:
    """What of a sound is taken: one channel or all mixed, times a factor."""

    channel: int | None = None
    factor: float = 1.0


class Levels:
    """What a sound is like: the power of every channel and of their sum, the peak, and samples that are no numbers."""

    def __init__(self) -> None:
        self.invalid = 0
        self._peak = 0.0
        self._channels: NDArray[np.float64] | None = None
        self._summed = 0.0

    def add(self, samples: NDArray[Any]) -> None:
        """`samples` (channels, n) as decoded, finite."""
        if samples.dtype.kind == "f":
            self._peak = max(self._peak, float(np.abs(samples).max(initial=0.0)))
        if len(samples) < 2:
            return
        values = samples.astype(np.float64) - (128 if samples.dtype == np.uint8 else 0)
        powers = np.square(values).sum(axis=1)
        if self._channels is not None and len(self._channels) != len(powers):
            self._channels = np.zeros(len(powers))  # a sound that changes its number of channels: what follows counts
            self._summed = 0.0
        self._channels = powers if self._channels is None else self._channels + powers
        self._summed += float(np.square(values.sum(axis=0)).sum())

    def pick(self) -> tuple[Pick, list[str]]:
        """What to take instead of all channels as they are, and why, in words; nothing where they are right."""
        channel, told = self._channel()
        if self.invalid:
            told.append(f"{self.invalid} samples of the sound are not numbers: taken as silence")
        factor = 1.0
        if self._peak > _BEYOND:
            factor = 1.0 / self._peak
            told.append(f"the sound reaches {self._peak:.1f} times full scale: made quieter")
        return Pick(channel, factor), told

    def _channel(self) -> tuple[int | None, list[str]]:
        powers = self._channels
        if powers is None or not powers.any():
            return None, []
        loudest, taken = int(powers.argmax()), f"channel {int(powers.argmax()) + 1} of {len(powers)} taken"
        if self._summed < _CANCELLED * powers[loudest]:
            return loudest, [f"the channels of the sound cancel each other: {taken}"]
        if np.delete(powers, loudest).max() < _SILENT_BESIDE * powers[loudest]:
            return loudest, [f"the other channels of the sound are silent: {taken}"]
        return None, []


class Stretch:
    """Consecutive audio frames of one format on their way to mono at the target rate; `levels` hears all of it."""

    def __init__(self, frame: Any, time_s: float, sample_rate: int, pick: Pick, levels: Levels) -> None:
        self.time_s = time_s
        self._end_s = time_s
        self._format = _format_of(frame)
        self._pick, self._levels = pick, levels
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
        samples, layout = _by_channel(frame), frame.layout.name
        valid = np.isfinite(samples) if samples.dtype.kind == "f" else None
        changed = self._pick != Pick()
        if valid is not None and not valid.all():
            changed = True
            self._levels.invalid += int((~valid).any(axis=0).sum())
            samples = np.where(valid, samples, samples.dtype.type(0))
        self._levels.add(samples)
        if not changed:
            return frame
        if self._pick.channel is not None and self._pick.channel < len(samples):
            samples, layout = samples[self._pick.channel : self._pick.channel + 1], "mono"
        if samples.dtype.kind == "f":
            samples = samples * samples.dtype.type(self._pick.factor)
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
