"""Which frame of a steady rate every stamp of a recording is, and what the rate is.

Cameras run steadily; stamps are rounded, jitter, drift and leave dropped frames out. Of the usual rates the one counts
that misses the fewest frames while the stamps lie near theirs. Where none does, since the clock drifts or jitters
more, it is the mean spacing of the stamps. A frame is missing where a stamp is late and those after it are too; where
stamps jitter by much of a frame only a pause tells that frames are missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["Slots", "StepBackError", "find_slots", "slots_at"]

_WHOLE = (10.0, 12.0, 12.5, 15.0, 20.0, 24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 72.0, 90.0, 96.0, 100.0, 120.0, 240.0)
_NTSC = tuple(rate * 1000 / 1001 for rate in (24.0, 30.0, 48.0, 60.0, 120.0))
_EXACT_S = 5e-4
"""Stamps within it are exact."""
_STEADY = 0.98
"""Share of the rounding within which all stamps of a steady clock lie; a dropped frame moves them by a whole one."""
_NEAR, _SHARP = 0.25, 0.1
"""Share of a frame by which a stamp may miss its frame besides its rounding; and without doubt which frame it is."""
_TELLING, _TELLING_SHARE = 0.02, 0.15
"""Frames, and share, by which stamps must lie nearer to a rate of 1000/1001 than to the whole one."""
_ROUNDED, _MUCH = 0.01, 5.0
"""Frames: stamps rounded by more are whole timecodes; what a rate that is not the timecode's must save."""
_BACK = 2.0
"""Frames by which a jittering stamp may lie before the one ahead of it."""
_LATE = 1.5
"""Frames from one stamp to the next where one may be missing between them."""
_LEAST_AROUND, _MOST_AROUND = 5, 25
"""Stamps on each side that decide whether all are late; more where they jitter."""
_SURE = 3.2
"""By how many standard deviations a lateness must stand out of the jitter."""
_STRONG, _PAUSE = 0.28, 1.5
"""Frames of jitter from which a late stamp tells no gap; and what is a pause all the same, in times of the longest step
between as many stamps at random, which is the logarithm of their number."""
_WINDOW = 8
_ROUNDS = 6
_SHORTEST_S = 1e-3
"""Of a frame."""
_OFF, _SHARE_OFF = 3.0, 0.02
"""Frames, and share of them, by which frames and gaps may miss the time that a recording took."""
_SNAP, _SURE_SNAP = 0.5, 3.0
"""Frames by which all of a recording may be longer or shorter at a usual rate that is taken for the measured one; and
standard deviations of the jitter, where that leaves more open."""
_SAME = 0.05
"""Relative distance below which a rate that was asked for is the one that was found."""


class StepBackError(ValueError):
    """Stamps that go back in time; `row` is the place of the first one that does."""

    def __init__(self, row: int) -> None:
        super().__init__("the timecodes do not advance here")
        self.row = row


@dataclass(frozen=True, eq=False)
class Slots:
    """`at` (n,) the frame of every stamp, ascending, the first one 0; `rate` frames per second; `how` it was found."""

    at: NDArray[np.int64]
    rate: float
    how: str


@dataclass(frozen=True, eq=False)
class _Fit:
    rate: float
    at: NDArray[np.int64]
    off: float
    """As `_off` says."""
    rounding: float
    """Frames to which the stamps are rounded."""

    @property
    def missing(self) -> int:
        return int(self.at[-1]) + 1 - len(self.at)

    @property
    def cost(self) -> float:
        """Frames that are missing, and frames by which all stamps together lie off more than by rounding.

        Whole timecodes lie on the frames of their own rate by nature: another one must explain much more.
        """
        other = self.rounding > _ROUNDED and abs(self.rounding - 1) > _ROUNDED
        return self.missing + len(self.at) * max(0.0, self.off - self.rounding / 2) + (_MUCH if other else 0.0)


def find_slots(times: NDArray[np.float64], quantum: float) -> Slots:
    """Frames of stamps at `times` (n,) seconds that are rounded to `quantum` seconds. Raises `StepBackError`."""
    n = len(times)
    if n == 1:
        return Slots(np.zeros(1, np.int64), FRAME_RATE, "of a single frame")
    steps = np.diff(times)
    usual = float(np.median(np.abs(steps[steps != 0]))) if steps.any() else 0.0
    back = np.flatnonzero(steps < -_BACK * usual)
    if len(back) or times[-1] - times[0] < _SHORTEST_S * (n - 1):
        raise StepBackError(int(back[0]) + 1 if len(back) else n - 1)
    return _at_usual_rate(times, quantum) or _at_mean_rate(times)


def slots_at(times: NDArray[np.float64], quantum: float, fps: float) -> Slots:
    """Frames of stamps at a rate that somebody says: with gaps where the stamps agree with it, else a frame a row."""
    try:
        found = find_slots(times, quantum)
    except StepBackError:
        found = None
    if found is not None and abs(found.rate / fps - 1) <= _SAME:
        return Slots(found.at, fps, "as asked for")
    return Slots(np.arange(len(times)), fps, "as asked for, one a row, against the timecodes")


def _at_usual_rate(times: NDArray[np.float64], quantum: float) -> Slots | None:
    """Frames at the usual rate that explains the stamps best."""
    lasted, spacing = float(times[-1] - times[0]), _local_spacing(times)
    fits: list[_Fit] = []
    for rate in (*_WHOLE, *_NTSC):
        slower_than_rows = lasted * rate * (1 + _SHARE_OFF) + _OFF < len(times) - 1
        if slower_than_rows or spacing * rate > _LATE:
            continue
        if (fit := _fit(times, rate, quantum * rate)) is not None:
            fits.append(fit)
    if not fits:
        return None
    best = min(fits, key=lambda fit: (fit.cost, fit.off))
    tolerance = best.off + max(_TELLING, _TELLING_SHARE * best.off)
    whole = [fit for fit in fits if fit.rate in _WHOLE and fit.missing == best.missing and fit.off <= tolerance]
    best = min(whole, key=lambda fit: fit.off) if whole else best
    return Slots(best.at, best.rate, "from the spacing of the stamps")


def _fit(times: NDArray[np.float64], rate: float, rounding: float) -> _Fit | None:
    """The reading of stamps at `rate` in which they lie near their frames: every row the next frame, else every stamp
    the nearest frame, else, where they jitter, gaps where stamps are late. `rounding` in frames."""
    rows = np.arange(len(times))
    if (off := float(np.ptp(times * rate - rows))) <= max(_EXACT_S * rate, _STEADY * rounding):
        return _Fit(rate, rows, off / 2, rounding)
    places = (times - times[0]) * rate
    nearest = np.round(places - np.median(places - np.round(places))).astype(np.int64)
    nearest -= nearest[0]
    if (np.diff(nearest) <= 0).any() or _off(places, nearest) > _SHARP:
        nearest = np.concatenate([[0], np.cumsum(_missing(times, 1 / rate) + 1)])
    fit = _Fit(rate, nearest, _off(places, nearest), rounding)
    consecutive = np.median(np.diff(nearest)) == 1
    return fit if consecutive and fit.off <= _NEAR + rounding / 2 else None


def _off(places: NDArray[np.float64], at: NDArray[np.int64]) -> float:
    """Half of the range in which nine of ten stamps lie around their frames, in frames."""
    low, high = np.percentile(places - at, (5, 95))
    return float(high - low) / 2


def _local_spacing(times: NDArray[np.float64]) -> float:
    """Seconds from stamp to stamp, over windows, so that neither rounding nor a few gaps count."""
    window = min(_WINDOW, len(times) - 1)
    return float(np.median((times[window:] - times[:-window]) / window))


def _at_mean_rate(times: NDArray[np.float64]) -> Slots:
    """The mean spacing of stamps that jitter or drift, gaps left out."""
    steps, how = np.diff(times), "from the mean spacing of uneven stamps"
    period = _local_spacing(times)
    for _ in range(_ROUNDS):
        if period < _SHORTEST_S:
            break
        together = steps[_missing(times, period) == 0]
        period = float(together.mean()) if len(together) else 0.0
    if period >= _SHORTEST_S:
        rate = _usual(1 / period, len(times), _jitter(steps / period))
        at = np.concatenate([[0], np.cumsum(_missing(times, 1 / rate) + 1)])
        if abs(float(times[-1] - times[0]) * rate - at[-1]) <= max(_OFF, _SHARE_OFF * at[-1]):
            return Slots(at, rate, how)
    # Stamps in heaps, several equal ones and then a leap, do not tell a gap.
    return Slots(np.arange(len(times)), _usual(1 / float(steps.mean()), len(times), 0.0), how)


def _usual(rate: float, count: int, jitter: float) -> float:
    """The usual rate nearest to one that is measured over so many frames with such jitter: a whole one where the
    measurement does not tell it apart, none that all frames together would show to be wrong."""
    unsure = _SURE_SNAP * jitter
    for rates, frames in ((_WHOLE, unsure), ((*_WHOLE, *_NTSC), max(_SNAP, unsure))):
        nearest = min(rates, key=lambda usual: abs(usual - rate))
        if abs(nearest / rate - 1) * count <= frames:
            return nearest
    return round(rate, 3)


def _jitter(steps: NDArray[np.float64]) -> float:
    """Standard deviation of stamps, from the steps between them, in frames; a gap counts like a step of one frame."""
    spread = np.clip(np.abs(steps - np.median(steps)), 0.0, 1.0)
    return float(np.sqrt((spread**2).mean() / 2))


def _missing(times: NDArray[np.float64], period: float) -> NDArray[np.int64]:
    """(n - 1,) frames that are missing behind every stamp: where the next one is late and those after it are too.

    The clearest gap first, and what follows it moved back, so that no gap is taken for the lateness around another.
    """
    steps = np.diff(times) / period
    late = times / period - np.arange(len(times))
    jitter = _jitter(steps)
    around = int(np.clip(np.ceil(40 * jitter**2), _LEAST_AROUND, _MOST_AROUND))
    missing = np.zeros(len(steps), np.int64)
    least = _LATE if jitter < _STRONG else 1 + _PAUSE * float(np.log(len(times)))
    suspects = np.flatnonzero(steps >= least)
    for i in sorted(map(int, suspects), key=lambda i: -_lateness(late, i, around)[0]):
        shift, stamps = _lateness(late, i, around)
        if shift >= max(0.5, _SURE * jitter * stamps):
            missing[i] = max(0, min(round(steps[i]) - 1, round(shift)))
            late[i + 1 :] -= missing[i]
    return missing


def _lateness(late: NDArray[np.float64], i: int, around: int) -> tuple[float, float]:
    """By how many frames the stamps behind `i` are later than those up to it, and the factor of its uncertainty.

    The stamps on both sides of the step are left out where there are others: they made it a suspect.
    """
    before, after = late[max(0, i - around) : i], late[i + 2 : i + 2 + around]
    before = before if len(before) else late[i : i + 1]
    after = after if len(after) else late[i + 1 : i + 2]
    return float(after.mean() - before.mean()), float(np.sqrt(1 / len(before) + 1 / len(after)))
