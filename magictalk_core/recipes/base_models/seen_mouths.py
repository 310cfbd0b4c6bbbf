"""Mouths of rules as a tracker of a person might have shown them: what a sync expert must not be misled by.

Of every channel only a part follows the rules; the rest is another mouth's, since people articulate in ways that no
rule knows, and with the same rhythm. Articulation runs ahead and behind by a frame or two, levels drift, pictures
tremble, some channels show nothing of speech.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

__all__ = ["as_seen"]

Curves = NDArray[np.float64]

_FOLLOWS = (0.4, 0.95)
"""Correlation of a seen channel with its rule, by person: a readout's jaw then goes with the seen one at 0.57 in the
mean, as it does with those of real people."""
_OF_CHANNEL = (0.6, 1.1)
_OF_JAW = (0.9, 1.1)
_DEAF = 0.15
"""Share of the channels other than the jaw that show nothing of speech."""
_WOBBLE_FRAMES, _WOBBLE_S = (0.3, 1.0), 8.0
_DRIFT_FRAMES = 25.0


def _unit(curves: Curves) -> Curves:
    """Mean 0 and standard deviation 1 of every column, or 0 where it stands still."""
    centred = curves - curves.mean(axis=0)
    deviation = centred.std(axis=0)
    return np.asarray(centred / np.where(deviation < 1e-6, 1.0, deviation))


def _wobbling(curves: Curves, random: np.random.Generator) -> Curves:
    """A little before and behind its time, by turns."""
    n = len(curves)
    ahead = gaussian_filter1d(random.normal(size=n), _WOBBLE_S, mode="reflect")
    times = np.arange(n) + ahead * (random.uniform(*_WOBBLE_FRAMES) / (ahead.std() + 1e-9))
    columns = [np.interp(times, np.arange(n), column) for column in curves.T]
    return np.stack(columns, axis=1)


def _another(others: Sequence[Curves], frames: int, random: np.random.Generator) -> Curves:
    """Frames of other mouths in a row, their channels mixed with each other to a degree."""
    found = others[int(random.integers(len(others)))]
    while len(found) < frames + 5:
        found = np.concatenate([found, others[int(random.integers(len(others)))]])
    start = random.integers(0, len(found) - frames + 1)
    curves = _unit(found[start : start + frames])
    mixed = random.uniform(0, 0.6)
    return _unit((1 - mixed) * curves + mixed * curves[:, random.permutation(curves.shape[1])])


def as_seen(mouth: Curves, others: Sequence[Curves], random: np.random.Generator) -> Curves:
    """(n, K) of the rules' mouth (n, K), the jaw first; `others` are mouths that say something else. Sizes of channels
    are random, so no unit is left."""
    n, channels = mouth.shape
    person = random.uniform(*_FOLLOWS)
    follows = np.clip(person * random.uniform(*_OF_CHANNEL, channels), 0.0, 0.95)
    follows[1:][random.random(channels - 1) < _DEAF] = 0.0
    follows[0] = min(person * random.uniform(*_OF_JAW), 0.95)
    own, strange = _unit(_wobbling(mouth, random)), _another(others, n, random)
    seen = gaussian_filter1d(follows * own + np.sqrt(1 - follows**2) * strange, random.uniform(0.01, 0.8), axis=0)
    drift = _unit(gaussian_filter1d(random.normal(size=(n, channels)), _DRIFT_FRAMES, axis=0, mode="reflect"))
    seen += random.uniform(0, 0.7) * drift + random.uniform(0.02, 0.25) * random.normal(size=(n, channels))
    return np.asarray(seen * np.exp(random.normal(0, 0.4, channels)))
