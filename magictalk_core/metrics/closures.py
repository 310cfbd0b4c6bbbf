"""Do the lips close where the speech closes them? Bilabials (p, b, m) and labiodentals (f, v), which everybody sees.

Where the phonemes of a clip are known: every bilabial is a place at which the lips should touch. `auc` asks whether the
lips are nearer there than in other speech, whatever a closed mouth looks like to a tracker: 0.5 for a mouth that knows
nothing. `share` asks whether they close: nearer than `closed_level`, which the real clip sets. Of the 191 bilabials of
the sample corpus 84 % close in the curves that animated it and 71 % as tracked (auc 0.996 and 0.992).

Where they are not: the real lips themselves say where they came together while somebody spoke. On the sample corpus
93 % of these places are bilabials or labiodentals. It asks for agreement with the tracker, not with the speech.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks
from scipy.stats import rankdata

from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = [
    "BILABIAL",
    "CLOSED",
    "CONTACT",
    "LABIODENTAL",
    "Closures",
    "Phoneme",
    "closed_level",
    "closures_at",
    "phoneme_places",
    "seen_closures",
]

BILABIAL, LABIODENTAL = frozenset("pbmPBM"), frozenset("fvFV")
"""Symbols of IPA, SAMPA and ARPAbet."""

CLOSED, CONTACT = 0.15, 0.35
"""Of the way from the clip's narrowest to its widest place (5th and 95th percentile) up to which lips count as shut,
and a lower lip as high enough for the teeth: 86 % of f and v in the curves of the sample corpus, and 18 % of the frames
of other speech."""

_PROMINENCE = 0.25
"""Of the same way: how far real lips come together and apart again at a closure that is seen."""

Values = NDArray[np.float64]
Frames = NDArray[np.int64]


@dataclass(frozen=True)
class Phoneme:
    """A sound of a clip: its symbol, and from when to when, seconds of the clip."""

    symbol: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Places:
    """Frames of each place (every one at least one frame), and the frames of other speech."""

    events: tuple[Frames, ...]
    others: Frames


@dataclass(frozen=True)
class Closures:
    """`auc`: chance that the lips are nearer in a frame of a place than in one of other speech; `share` of the places
    at which they close. None without a place or without other speech."""

    auc: float | None
    share: float | None


def phoneme_places(
    phonemes: Sequence[Phoneme], kind: frozenset[str], n_frames: int, apart: frozenset[str] = frozenset()
) -> Places:
    """The frames of the phonemes of a `kind`, and those of all others more than a frame away from it; `apart`: other
    phonemes that are no fair comparison."""
    events = [_frames_of(p, n_frames) for p in phonemes if p.symbol in kind]
    near = np.zeros(n_frames + 2, bool)
    for frames in events:
        near[frames[0] : frames[-1] + 3] = True  # one frame to either side; `near` is shifted by one
    others = np.zeros(n_frames, bool)
    for phoneme in phonemes:
        if phoneme.symbol not in kind | apart:
            others[_frames_of(phoneme, n_frames)] = True
    return Places(tuple(events), np.flatnonzero(others & ~near[1:-1]))


def _frames_of(phoneme: Phoneme, n_frames: int) -> Frames:
    """Frames shown while it sounds; of a short one the frame nearest to its middle."""
    first, last = int(np.ceil(phoneme.start_s * FRAME_RATE)), int(np.floor(phoneme.end_s * FRAME_RATE))
    if first > last:
        first = last = round((phoneme.start_s + phoneme.end_s) / 2 * FRAME_RATE)
    return np.unique(np.clip(np.arange(first, last + 1), 0, n_frames - 1))


def seen_closures(gap: Values, speaks: NDArray[np.bool_]) -> Places:
    """Where the real lips, of gap (frames,), come together while somebody `speaks` (frames,), and other speech."""
    values, talking = np.where(np.isfinite(gap), gap, np.nanmax(gap) if np.isfinite(gap).any() else 0.0), speaks
    low, span = _range(values)
    if span <= 0 or not talking.any():
        return Places((), np.zeros(0, np.int64))
    peaks, _ = find_peaks(-values, prominence=_PROMINENCE * span)
    peaks = [p for p in peaks if talking[p] and values[p] <= low + 2 * CLOSED * span]
    near = np.zeros(len(values) + 2, bool)
    for peak in peaks:
        near[peak : peak + 3] = True
    return Places(tuple(np.array([p]) for p in peaks), np.flatnonzero(talking & ~near[1:-1]))


def closed_level(real: Values, share: float = CLOSED) -> float | None:
    """The value of the real clip (frames,) below which lips count as closed; None where they do not move."""
    measured = real[np.isfinite(real)]
    low, span = _range(measured) if len(measured) else (0.0, 0.0)
    return low + share * span if span > 0 else None


def _range(values: Values) -> tuple[float, float]:
    low, high = np.quantile(values, [0.05, 0.95])
    return float(low), float(high - low)


def closures_at(gap: Values, places: Places, closed: float | None) -> Closures:
    """Of lips with `gap` (frames,) at the places, closed from `closed` cm down."""
    events = [gap[frames][np.isfinite(gap[frames])] for frames in places.events]
    events = [values for values in events if len(values)]
    others = gap[places.others]
    others = others[np.isfinite(others)]
    if not events:
        return Closures(None, None)
    share = None if closed is None else float(np.mean([values.min() <= closed for values in events]))
    if not len(others):
        return Closures(None, share)
    inside = np.concatenate(events)
    ranks = rankdata(np.concatenate([inside, others]))
    wins = ranks[: len(inside)].sum() - len(inside) * (len(inside) + 1) / 2
    return Closures(float(1 - wins / (len(inside) * len(others))), share)
