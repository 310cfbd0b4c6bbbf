"""A sync expert in closed form: by how many frames a tracked mouth is late, and how sure that is.

Canonical correlation (Hotelling 1936) finds what a stretch of speech and a stretch of mouth motion have in common:
pairs of projections, one of 9 frames of speech features and one of 9 frames of the mouth, that go together as closely
as any can. Slid over a clip, the correlation of the pairs at every shift is evidence for that shift; with what is known
before any clip is seen, that most are in sync, it becomes a probability. Motion counts alone: slow changes of a face
and its level are taken out, and every channel is brought to one size.

It is fitted by `recipes/base_models` to synthetic voices and comes with the package. Unlike the trained networks of
this family it cannot tell a stranger's voice from one that it did not understand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.ndimage import uniform_filter1d

from magictalk_core.errors import PermanentError
from magictalk_core.models.sync_expert.belief import OffsetBelief, believed
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES

__all__ = [
    "FURTHEST",
    "LINEAR_SYNC",
    "MOUTH_STEMS",
    "Evidence",
    "LinearSync",
    "mouth_channels",
    "movement",
    "stem_columns",
    "windows_around",
    "without_level",
]

Values = NDArray[np.float64]

LINEAR_SYNC = "linear_sync.safetensors"

MOUTH_STEMS = ("jawOpen", "mouthFunnel", "mouthPucker", "mouthStretch", "mouthSmile", "mouthLowerDown", "mouthUpperUp",
               "mouthPress", "mouthRollLower", "mouthRollUpper")  # fmt: skip
"""What speech moves and every tracker sees; of a channel with two sides the mean is taken."""

FURTHEST = 20
"""Frames to either side: 0.8 s."""
_LEAST_OVERLAP = 25
"""Frames that must meet for a shift to be looked at."""
_SLOW_FRAMES = 15
"""What is slower than this is no speech: 0.6 s."""
_STILL = 0.005
"""Standard deviation of a coefficient below which it is noise of the tracker, and is not enlarged."""


def mouth_channels(stem: str) -> tuple[str, ...]:
    """The channel of that name, or its two sides."""
    return tuple(name for name in JAW_MOUTH_NAMES if name in (stem, f"{stem}Left", f"{stem}Right"))


def stem_columns(motion: NDArray[np.floating], channels: Sequence[str], stems: Sequence[str]) -> Values:
    """(n, len(stems)) of motion (n, D) with columns named by `channels`. Raises `PermanentError` for a missing one."""
    places = {name: place for place, name in enumerate(channels)}
    missing = [name for stem in stems for name in mouth_channels(stem) if name not in places]
    if missing:
        raise PermanentError(f"sync expert: expected channels that move in speech, missing {', '.join(missing)}")
    sides = [[places[name] for name in mouth_channels(stem)] for stem in stems]
    return np.stack([motion[:, columns].mean(axis=1) for columns in sides], axis=1).astype(np.float64)


def without_level(values: Values) -> Values:
    return np.asarray(values - uniform_filter1d(values, _SLOW_FRAMES, axis=0, mode="reflect"))


def movement(mouth: Values) -> Values:
    """(n, K) mouth without what is slow, each channel as large as the others."""
    moved = without_level(mouth)
    return np.asarray(moved / np.maximum(moved.std(axis=0), _STILL))


def windows_around(values: Values, width: int) -> Values:
    """(n, width * K): the `width` rows around each row, the first and last repeated beyond the ends."""
    places = np.arange(len(values))[:, None] + np.arange(width) - (width - 1) // 2
    return np.asarray(values[np.clip(places, 0, len(values) - 1)].reshape(len(values), -1))


@dataclass(frozen=True, eq=False)
class Evidence:
    """For every shift from -FURTHEST to FURTHEST: the weighted `correlation` of the pairs, NaN where too few frames
    meet, and how many `frames` do. Positive: the mouth is later than the sound."""

    correlation: Values
    frames: Values

    @classmethod
    def of(cls, heard: Values, moved: Values, weights: Values) -> Evidence:
        """heard, moved (n, k): the pairs frame by frame."""
        n = min(len(heard), len(moved))
        heard, moved = (_standard(values[:n]) for values in (heard, moved))
        found, met = np.full(2 * FURTHEST + 1, np.nan), np.zeros(2 * FURTHEST + 1)
        for place, shift in enumerate(range(-FURTHEST, FURTHEST + 1)):
            a, b = heard[max(0, -shift) : n - max(0, shift)], moved[max(0, shift) : n - max(0, -shift)]
            if len(a) >= _LEAST_OVERLAP:
                found[place], met[place] = float((a * b).mean(axis=0) @ weights), len(a)
        return cls(found, met)


def _standard(values: Values) -> Values:
    return np.asarray((values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9))


@dataclass(frozen=True, eq=False)
class LinearSync:
    """`heard` (k, width, F) projects the features `feature` less `mean` over `std`, `moved` (k, width, K) the movement
    of the mouth; the k pairs count by `weights` (k,), which sum to 1. `sharpness`: evidence, in natural logarithms,
    that a frame gives at a correlation of 1. `threshold`: confidence from which an offset is believed."""

    feature: str
    stems: tuple[str, ...]
    mean: Values
    std: Values
    heard: Values
    moved: Values
    weights: Values
    sharpness: float
    threshold: float

    @property
    def channels(self) -> tuple[str, ...]:
        """That must be there."""
        return tuple(name for stem in self.stems for name in mouth_channels(stem))

    def evidence(self, mouth: Values, speech: NDArray[np.floating]) -> Evidence:
        """mouth (n, K) as `stem_columns`, without gaps; speech (m, F). The longer one is cut."""
        n = min(len(mouth), len(speech))
        normal = (np.asarray(speech[:n], np.float64) - self.mean) / self.std
        heard = without_level(windows_around(normal, self.heard.shape[1]) @ self.heard.reshape(len(self.heard), -1).T)
        moved = windows_around(movement(mouth[:n]), self.moved.shape[1]) @ self.moved.reshape(len(self.moved), -1).T
        return Evidence.of(heard, moved, self.weights)

    def offset(
        self, motion: NDArray[np.floating], channels: Sequence[str], speech: NDArray[np.floating]
    ) -> OffsetBelief:
        """Of motion (n, D) with columns named by `channels`, without frames that lack a face, and speech (m, F).

        Raises `PermanentError` for a missing channel and for a clip with fewer than 26 frames.
        """
        found = self.evidence(stem_columns(motion, channels, self.stems), speech)
        if np.isfinite(found.correlation).sum() < 2:
            raise PermanentError(f"sync expert: expected at least {_LEAST_OVERLAP + 1} frames, found {len(speech)}")
        return believed(found.correlation, found.frames, self.sharpness)

    def save(self, path: Path, about: dict[str, str]) -> None:
        """In half precision. `about`: where it comes from."""
        arrays = {name: getattr(self, name) for name in ("mean", "std", "heard", "moved", "weights")}
        said = {"feature": self.feature, "stems": json.dumps(self.stems), **about}
        said |= {"sharpness": repr(self.sharpness), "threshold": repr(self.threshold)}
        with atomic_path(path) as temporary:
            # safetensors writes an array's memory as it lies.
            save_file({k: np.ascontiguousarray(v, np.float16) for k, v in arrays.items()}, temporary, metadata=said)

    @classmethod
    def load(cls, path: Path) -> LinearSync:
        """Raises `PermanentError` for a file that is none."""
        try:
            with safe_open(path, "np") as file:
                said = file.metadata() or {}
                arrays = {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}
            return cls(
                feature=said["feature"],
                stems=tuple(json.loads(said["stems"])),
                sharpness=float(said["sharpness"]),
                threshold=float(said["threshold"]),
                **arrays,
            )
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise PermanentError(f"{path}: no linear sync expert: {error}: install magictalk again") from error
