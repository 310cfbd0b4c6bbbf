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
_PER_S, _LEAST_WINDOWS = 25, 3
"""Windows a second in which channels are compared, and how many in a row must cancel: between two microphones some
pitch periods cancel by chance."""
_AUDIBLE = 1e-5
"""Power of a window, relative to the loudest, from which it counts whether it is lost."""
_SILENT_BESIDE = 1e-6
"""Power of a channel, relative to the loudest, that holds nothing but the rounding of a codec."""
_BEYOND = 2.0
"""Of full scale: floats that reach further are not the overshoot of a codec, and would be cut off."""


@dataclass(frozen=True, eq=False)
class Pick:
    """What of a sound is taken: one channel, or all mixed, times a factor. `windows`: the numbers of those windows in
    which the channel is taken; None: in all of them."""

    channel: int | None = None
    factor: float = 1.0
    windows: NDArray[np.int64] | None = None

    @property
    def is_plain(self) -> bool:
        return self.channel is None and self.factor == 1.0


class Levels:
    """What a sound is like: the power of every channel and of their sum, the peak, and samples that are no numbers."""

    def __init__(self) -> None:
        self.invalid = 0
        self._peak = 0.0
        self._heard = 0.0
        """In windows."""
        self._powers = np.zeros((0, 0))
        """(channels + 1, windows or more): of every channel, and of their sum in the last row."""

    def add(self, samples: NDArray[Any], sample_rate: int) -> NDArray[np.int64]:
        """`samples` (channels, n) as decoded, finite. Returns the number of the window that every one lies in."""
        channels, n = samples.shape
        windows: NDArray[np.int64] = np.floor(self._heard + np.arange(n) * (_PER_S / sample_rate)).astype(np.int64)
        self._heard += n * _PER_S / sample_rate
        if samples.dtype.kind == "f":
            self._peak = max(self._peak, float(np.abs(samples).max(initial=0.0)))
        if channels < 2 or n == 0:
            return windows
        if len(self._powers) != channels + 1:
            # A sound that changes its number of channels: what follows counts.
            self._powers = np.zeros((channels + 1, 0))
        if self._powers.shape[1] <= windows[-1]:
            more = int(windows[-1]) + 1 - self._powers.shape[1]
            self._powers = np.pad(self._powers, ((0, 0), (0, more + self._powers.shape[1])))
        values = samples.astype(np.float64) - (128 if samples.dtype == np.uint8 else 0)
        first = int(windows[0])
        for row, signal in enumerate((*values, values.sum(axis=0))):
            found = np.bincount(windows - first, weights=np.square(signal))
            self._powers[row, first : first + len(found)] += found
        return windows

    def pick(self) -> tuple[Pick, list[str]]:
        """What to take instead of all channels as they are, and why, in words; nothing where they are right."""
        channel, windows, told = self._channel()
        if self.invalid:
            told.append(f"{self.invalid} samples of the sound are not numbers: taken as silence")
        factor = 1.0
        if self._peak > _BEYOND:
            factor = 1.0 / self._peak
            told.append(f"the sound reaches {self._peak:.1f} times full scale: made quieter")
        return Pick(channel, factor, windows), told

    def _channel(self) -> tuple[int | None, NDArray[np.int64] | None, list[str]]:
        if not self._powers.any():
            return None, None, []
        channels, summed = self._powers[:-1], self._powers[-1]
        powers = channels.sum(axis=1)
        loudest = int(powers.argmax())
        taken = f"channel {loudest + 1} of {len(powers)} taken"
        if summed.sum() < _CANCELLED * powers[loudest]:
            return loudest, None, [f"the channels of the sound cancel each other: {taken}"]
        if np.delete(powers, loudest).max() < _SILENT_BESIDE * powers[loudest]:
            return loudest, None, [f"the other channels of the sound are silent: {taken}"]
        lost = _lasting(_lost(channels.max(axis=0), summed))
        if not lost.any():
            return None, None, []
        loudest = int(channels[:, lost].sum(axis=1).argmax())
        taken = f"channel {loudest + 1} of {len(powers)} taken there"
        said = f"the channels of the sound cancel each other in {lost.sum() / _PER_S:.2f} s of it: {taken}"
        # Where the cancelling begins or ends within a window, that one does not count as lost.
        return loudest, np.flatnonzero(np.convolve(lost, np.ones(3), "same") > 0), [said]


def _lost(loudest: NDArray[np.float64], summed: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Windows in which something is to be heard that is gone once the channels are mixed."""
    return np.asarray((summed < _CANCELLED * loudest) & (loudest > _AUDIBLE * loudest.max()), bool)


def _lasting(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Those of the flags that stand in a row of enough."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    kept = np.zeros(len(flags), bool)
    for begin, end in edges.reshape(-1, 2):
        kept[begin:end] = end - begin >= _LEAST_WINDOWS
    return kept


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
        changed = not self._pick.is_plain
        if valid is not None and not valid.all():
            changed = True
            self._levels.invalid += int((~valid).any(axis=0).sum())
            samples = np.where(valid, samples, samples.dtype.type(0))
        windows = self._levels.add(samples, frame.sample_rate)
        if not changed:
            return frame
        if self._pick.channel is not None and self._pick.channel < len(samples):
            alone = samples[self._pick.channel]
            if self._pick.windows is None:
                samples, layout = alone[None], "mono"
            else:
                # In every channel, so that the mixer gives it back as it is.
                samples = np.where(np.isin(windows, self._pick.windows), alone, samples)
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
