"""Timecodes of a recording as seconds: frames or milliseconds behind the seconds, drop-frame numbers, midnight.

A timecode counts frames of a rate that it does not say. Where the seconds go on, the count starts anew, which tells
the rate; without that it is what the file looks like, ours or the app's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["StampError", "Stamps", "read_stamps"]

_FRAMES = re.compile(r"^(\d{1,3}):(\d{1,2}):(\d{1,2})([:;])(\d+)(?:[.,](\d+))?$")
_SECONDS = re.compile(r"^(\d{1,3}):(\d{1,2}):(\d{1,2})()[.,](\d+)()$")
_RATES = (24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 72.0, 90.0, 96.0, 100.0, 120.0, 240.0)
"""Frames per second that timecodes count."""
_OF_OURS, _OF_THE_APP = (FRAME_RATE, 30.0, 60.0, 120.0, 240.0), (60.0, 120.0, 240.0)
"""Where no second ends. We begin at 0, the app with the time of day."""
_HALF_A_DAY = 12 * 3600
_MILLISECONDS = 3
_NTSC = 1000 / 1001


class StampError(ValueError):
    """A stamp that is none, with its place among the rows."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(text)
        self.row = row


@dataclass(frozen=True, eq=False)
class Stamps:
    """`times` (n,) seconds from the first one on, not necessarily ascending; `quantum` seconds to which they are
    rounded; `clock` by which a rate found in `times` is to be multiplied; `remarks` on what was assumed."""

    times: NDArray[np.float64]
    quantum: float
    clock: float = 1.0
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Fields:
    seconds: NDArray[np.int64]
    """Since midnight of the first day."""
    parts: NDArray[np.float64]
    """What stands behind the seconds."""
    digits: int
    decimals: int
    drop: bool


def read_stamps(texts: Sequence[str], fps: float | None) -> Stamps:
    """Times of the timecodes of all rows, `HH:MM:SS:FF.mmm` or `HH:MM:SS.mmm`; `fps` settles a rate that they leave
    open. Raises `StampError`."""
    fields, of_seconds = _fields(texts)
    if of_seconds or (fields.digits == _MILLISECONDS and fields.parts.max() >= _RATES[-1]):
        unit = 10.0**-fields.digits
        times = fields.seconds + fields.parts * unit
        return Stamps(times - times[0], unit)
    rate, remarks = _timecode_rate(fields, fps)
    whole = not (fields.parts % 1).any()
    quantum = (1.0 if whole else 10.0**-fields.decimals) / rate
    skipped = _skipped(fields, rate)
    if skipped[-1] != skipped[0] and not fields.drop:
        remarks = (*remarks, "drop-frame timecode by its numbers, though it is written with `:`")
    times = (fields.seconds - fields.seconds[0]) + (fields.parts - fields.parts[0] - (skipped - skipped[0])) / rate
    return Stamps(times, quantum, _NTSC if skipped[-1] != skipped[0] else 1.0, remarks)


def _fields(texts: Sequence[str]) -> tuple[_Fields, bool]:
    """The numbers of all stamps, and whether what stands behind the seconds is a fraction of them."""
    form = _FRAMES if _FRAMES.match(texts[0].strip()) else _SECONDS
    seconds, parts, signs, digits, decimals = [], [], set(), 0, 0
    for row, text in enumerate(texts):
        match = form.match(text.strip())
        if match is None or int(match.group(2)) > 59 or int(match.group(3)) > 59:
            raise StampError(row, f"expected a timecode HH:MM:SS:FF.mmm, found {text.strip()[:40]!r}")
        hours, minutes, whole, sign, part, fraction = match.groups()
        seconds.append(int(hours) * 3600 + int(minutes) * 60 + int(whole))
        parts.append(float(f"{part}.{fraction or 0}"))
        signs.add(sign)
        digits, decimals = max(digits, len(part)), max(decimals, len(fraction or ""))
    found = np.array(seconds, np.int64)
    found[1:] += 2 * _HALF_A_DAY * np.cumsum(np.diff(found) < -_HALF_A_DAY)
    fields = _Fields(found, np.array(parts), digits, decimals, signs == {";"})
    # Two digits behind a point are frames, as some tools write them, unless they count to a hundred.
    frames_behind_a_point = form is _SECONDS and digits <= 2 and fields.parts.max() < 60
    return fields, form is _SECONDS and not frames_behind_a_point


def _timecode_rate(fields: _Fields, fps: float | None) -> tuple[float, tuple[str, ...]]:
    """Frames per second that the timecode counts, and a remark where it does not tell."""
    # A frame that ends is written as the number of the next one, which there may not be.
    most = fields.parts.max() - (1e-9 if fields.parts.max() % 1 == 0 and (fields.parts % 1).any() else 0.0)
    seconds, parts = np.diff(fields.seconds), np.diff(fields.parts)
    within, over = parts[seconds == 0], parts[seconds == 1]
    possible = [rate for rate in _RATES if rate > most] or [float(np.ceil(most + 1))]
    if len(within) and len(over):
        # A frame dropped where a second ends makes it seem shorter, nothing makes it seem longer.
        estimate = float(np.percentile(np.median(within) - over, 75))
        return min(possible, key=lambda rate: abs(rate - estimate)), ()
    if fps is not None and round(fps) > most:
        return float(round(fps)), ()
    usual = _OF_OURS if fields.seconds[0] == 0 and fields.parts[0] == 0 else _OF_THE_APP
    rate = next((rate for rate in usual if rate > most), possible[0])
    if len(fields.parts) == 1:
        return rate, ()
    return rate, (f"no second ends: the timecode is taken to count {rate:g} frames in one; --fps says otherwise",)


def _skipped(fields: _Fields, rate: float) -> NDArray[np.int64]:
    """How many numbers drop-frame timecode left out before every stamp: 2 (or 4) in every minute but the tenth."""
    minutes, drop = fields.seconds // 60, round(rate / 15)
    illegal = (minutes % 10 != 0) & (fields.seconds % 60 == 0) & (fields.parts < drop)
    if rate not in (30.0, 60.0) or illegal.any() or not (fields.drop or _counts_as_drop(fields, rate, drop)):
        return np.zeros(len(minutes), np.int64)
    return drop * (minutes - minutes // 10)


def _counts_as_drop(fields: _Fields, rate: float, drop: int) -> bool:
    """Whether the numbers themselves leave `drop` out at every minute but the tenth, as many tools write them: at more
    than one, or at one in a recording that lacks no other number."""
    minutes = fields.seconds // 60
    steps = np.diff(fields.seconds * round(rate) + np.floor(fields.parts))
    over, tenth = np.diff(minutes) == 1, minutes[1:] % 10 == 0
    usual = steps[~over]
    if not len(usual):
        return False
    low, high = np.percentile(usual, (5, 95))
    leaps = (steps >= low + drop) & (steps <= high + drop)
    recorded = over & (steps <= high + drop)  # elsewhere a pause says nothing
    at_others = recorded & ~tenth
    if not at_others.any() or not leaps[at_others].all() or (leaps & over & tenth).any():
        return False
    return bool(np.count_nonzero(at_others) > 1 or usual.max() <= high)
