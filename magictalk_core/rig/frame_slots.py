"""Which frame of a steady rate every stamp of a recording is, and what the rate is.

Cameras run steadily; stamps are rounded, jitter, drift and leave dropped frames out. Three readings are tried: every
row is the next frame and the stamps are rounded; the stamps lie on the frames of a usual rate, some of which are
missing; and, where stamps jitter or drift, their mean spacing, with a frame missing only where all later stamps are
late.
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
"""Stamps within it count as exact."""
_ROUNDING = 0.9
"""Share of the rounding step within which rounded stamps of a steady clock lie; a dropped frame moves them by one."""
_ON_A_FRAME = 0.2
"""Share of a frame by which a stamp may miss the frame that it is."""
_BACK = 2.0
"""Frames by which a jittering stamp may lie before the one ahead of it."""
_LATE = 1.5
"""Frames from one stamp to the next where one may be missing between them."""
_AROUND = 5
"""Stamps on each side that decide whether all are late."""
_SURE = 3.2
"""By how many standard deviations of a stamp, to be told from jitter: four of the difference of their medians."""
_WINDOW = 8
_ROUNDS = 6
_SHORTEST_S = 1e-3
"""Of a frame."""
_OFF, _SHARE_OFF = 3.0, 0.02
"""Frames, and share of them, by which frames and gaps may miss the time that a recording took."""
_SNAP = 5e-3
"""Relative distance from a usual rate below which it is meant."""
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
    return _every_row(times, quantum) or _on_frames(times) or _tracked(times)


def slots_at(times: NDArray[np.float64], quantum: float, fps: float) -> Slots:
    """Frames of stamps at a rate that somebody says: with gaps where the stamps agree with it, else a frame a row."""
    try:
        found = find_slots(times, quantum)
    except StepBackError:
        found = None
    if found is not None and abs(found.rate / fps - 1) <= _SAME:
        return Slots(found.at, fps, "as asked for")
    return Slots(np.arange(len(times)), fps, "as asked for, one a row, against the timecodes")


def _every_row(times: NDArray[np.float64], quantum: float) -> Slots | None:
    """Every row is the next frame of a usual rate, its stamp rounded."""
    rows = np.arange(len(times))
    tolerance = max(_EXACT_S, _ROUNDING * quantum)
    for rates in (_WHOLE, _NTSC):
        spreads = {rate: float(np.ptp(times - rows / rate)) for rate in rates}
        rate = min(spreads, key=lambda rate: spreads[rate])
        if spreads[rate] <= tolerance:
            return Slots(rows, rate, "from the spacing of the stamps")
    return None


def _on_frames(times: NDArray[np.float64]) -> Slots | None:
    """The stamps lie on frames of a usual rate; of several the one that misses the fewest frames, then the nearest."""
    fits = []
    for rate in (*_WHOLE, *_NTSC):
        places = (times - times[0]) * rate
        at = np.round(places).astype(np.int64)
        steps, off = np.diff(at), places - at
        if (steps > 0).all() and np.median(steps) == 1 and np.abs(off - np.median(off)).max() <= _ON_A_FRAME:
            fits.append((int(at[-1]), float(np.ptp(off)), rate, at))
    if not fits:
        return None
    _, _, rate, at = min(fits, key=lambda fit: fit[:2])
    return Slots(at, rate, "from the spacing of the stamps")


def _tracked(times: NDArray[np.float64]) -> Slots:
    """The mean spacing of stamps that jitter or drift, gaps left out."""
    steps, how = np.diff(times), "from the mean spacing of uneven stamps"
    window = min(_WINDOW, len(steps))
    period = float(np.median((times[window:] - times[:-window]) / window))
    for _ in range(_ROUNDS):
        if period < _SHORTEST_S:
            break
        together = steps[_missing(times, period) == 0]
        period = float(together.mean()) if len(together) else 0.0
    if period >= _SHORTEST_S:
        rate = _usual(1 / period, uncertain=2 * _jitter(steps / period) / len(times))
        at = np.concatenate([[0], np.cumsum(_missing(times, 1 / rate) + 1)])
        if abs(float(times[-1] - times[0]) * rate - at[-1]) <= max(_OFF, _SHARE_OFF * at[-1]):
            return Slots(at, rate, how)
    # Stamps in heaps, several equal ones and then a leap, do not tell a gap.
    return Slots(np.arange(len(times)), _usual(1 / float(steps.mean()), uncertain=0.0), how)


def _usual(rate: float, uncertain: float) -> float:
    """The usual rate nearest to one that is measured: a whole one where the measurement does not tell it apart."""
    for rates, tolerance in ((_WHOLE, uncertain), ((*_WHOLE, *_NTSC), _SNAP)):
        nearest = min(rates, key=lambda usual: abs(usual - rate))
        if abs(nearest / rate - 1) <= tolerance:
            return nearest
    return round(rate, 3)


def _jitter(steps: NDArray[np.float64]) -> float:
    """Standard deviation of stamps, from the spread of the steps between them, in their unit; blind to a few gaps."""
    return float(1.4826 / np.sqrt(2) * np.median(np.abs(steps - np.median(steps))))


def _missing(times: NDArray[np.float64], period: float) -> NDArray[np.int64]:
    """(n - 1,) frames that are missing behind every stamp: where the next one is late and all after it are too."""
    steps = np.diff(times) / period
    late = times / period - np.arange(len(times))
    least = max(0.5, _SURE * _jitter(steps))
    missing = np.zeros(len(steps), np.int64)
    for i in np.flatnonzero(steps >= _LATE):
        before, after = late[max(0, i + 1 - _AROUND) : i + 1], late[i + 1 : i + 1 + _AROUND]
        shift = float(np.median(after)) - float(np.median(before))
        if shift >= least:
            missing[i] = max(0, min(round(steps[i]) - 1, round(shift)))
    return missing
