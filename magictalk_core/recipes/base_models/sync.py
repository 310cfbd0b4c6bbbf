"""The sync expert of the package: fitted to what trackers would have seen of the rules' mouths, measured on voices that
were left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from magictalk_core.models.sync_expert.belief import OffsetBelief, believed
from magictalk_core.models.sync_expert.linear import (
    MOUTH_STEMS,
    Evidence,
    LinearSync,
    movement,
    stem_columns,
    windows_around,
    without_level,
)
from magictalk_core.recipes.base_models.seen_mouths import as_seen
from magictalk_core.recipes.base_voice.recordings import Recording
from magictalk_core.vocabulary.arkit import JAW_MOUTH_NAMES

__all__ = ["MOVED", "SyncFigures", "SyncSettings", "fit_sync", "measure_sync"]

Values = NDArray[np.float64]

MOVED = 10
"""Frames by which held-out mouths are moved to be found again."""
_NEAR, _TOLERANCE = 2, 2
_LEAST_FRAMES = 50
_SHARPNESS = np.geomspace(0.02, 3.0, 26)


@dataclass(frozen=True)
class SyncSettings:
    """What decides the expert. `components` of the speech features; `width` frames of speech and of the mouth; ridges
    as shares of the mean variance; pairs that go together at less than `least` are left out; `seen`: how many ways each
    recording is seen in; `threshold`: confidence from which an offset is believed."""

    components: int = 64
    width: int = 9
    ridge_heard: float = 0.1
    ridge_moved: float = 0.05
    least: float = 0.05
    most_pairs: int = 24
    seen: int = 3
    threshold: float = 0.8
    seed: int = 5


@dataclass(frozen=True)
class SyncFigures:
    """On voices that were left out, as a tracker might see them, of `clips`: share of those in sync that are called
    shifted, and of those moved by 10 frames either way that are found within 2."""

    clips: int
    false_alarms: float
    found: float


def _mouths(recordings: Sequence[Recording]) -> list[Values]:
    return [stem_columns(one.mouth, JAW_MOUTH_NAMES, MOUTH_STEMS) for one in recordings]


def _inverse_root(squares: Values, ridge: float) -> Values:
    size = len(squares)
    values, vectors = np.linalg.eigh(squares + ridge * np.trace(squares) / size * np.eye(size))
    return np.asarray(vectors / np.sqrt(values) @ vectors.T)


@dataclass(frozen=True, eq=False)
class _Heard:
    """Normalisation of the features, and their principal directions (F, C)."""

    mean: Values
    std: Values
    directions: Values

    @classmethod
    def of(cls, recordings: Sequence[Recording], components: int) -> _Heard:
        frames = np.concatenate([one.features for one in recordings]).astype(np.float64)
        mean, std = frames.mean(axis=0), frames.std(axis=0) + 1e-6
        _, directions = np.linalg.eigh(np.cov(((frames - mean) / std).T))
        return cls(mean, std, directions[:, ::-1][:, :components])

    def windows(self, features: NDArray[np.floating], width: int) -> Values:
        normal = (np.asarray(features, np.float64) - self.mean) / self.std
        return without_level(windows_around(normal @ self.directions, width))


def _canonical(x: Values, y: Values, settings: SyncSettings) -> tuple[Values, Values, Values]:
    """Projections of the rows of x and of y, a column per pair, and how closely each pair goes together."""
    of_x = _inverse_root(x.T @ x / len(x), settings.ridge_heard)
    of_y = _inverse_root(y.T @ y / len(y), settings.ridge_moved)
    left, together, right = np.linalg.svd(of_x @ (x.T @ y / len(x)) @ of_y, full_matrices=False)
    pairs = min(int((together > settings.least).sum()), settings.most_pairs)
    return of_x @ left[:, :pairs], of_y @ right[:pairs].T, together[:pairs]


def fit_sync(recordings: Sequence[Recording], feature: str, settings: SyncSettings) -> LinearSync:
    """Of the recordings that say something, each seen in several ways."""
    spoken = [one for one in recordings if one.text]
    mouths, random = _mouths(spoken), np.random.default_rng(settings.seed)
    hearing = _Heard.of(spoken, settings.components)
    heard, moved = [], []
    for one, mouth in zip(spoken, mouths, strict=True):
        windows = hearing.windows(one.features, settings.width)
        for _ in range(settings.seen):
            heard.append(windows)
            moved.append(windows_around(movement(as_seen(mouth, mouths, random)), settings.width))
    to_speech, to_mouth, together = _canonical(np.concatenate(heard), np.concatenate(moved), settings)
    weights = together / (1 - together**2)
    expert = LinearSync(
        feature=feature,
        stems=MOUTH_STEMS,
        mean=hearing.mean,
        std=hearing.std,
        heard=np.einsum("wck,fc->kwf", to_speech.reshape(settings.width, -1, len(weights)), hearing.directions),
        moved=np.einsum("wmk->kwm", to_mouth.reshape(settings.width, -1, len(weights))),
        weights=weights / weights.sum(),
        sharpness=0.0,
        threshold=settings.threshold,
    )
    # All of them, several times: of 79 sentences one mouth that tells nothing halved the sharpness.
    turns = (_cases(spoken, mouths, settings.seed + 1 + turn, None) for turn in range(settings.seen))
    cases = [(expert.evidence(mouth, speech), late) for turn in turns for mouth, speech, late in turn]
    return replace(expert, sharpness=_sharpness(cases))


def _cases(
    recordings: Sequence[Recording], others: Sequence[Values], seed: int, moved: Sequence[int] | None
) -> Iterator[tuple[Values, NDArray[np.floating], int]]:
    """(mouth as seen, features, frames by which it is late); None: by any number up to 12."""
    random = np.random.default_rng(seed)
    for one, mouth in zip(recordings, _mouths(recordings), strict=True):
        seen = as_seen(mouth, others, random)
        for late in moved or [int(random.integers(-12, 13))]:
            n = len(seen) - abs(late)
            if n >= _LEAST_FRAMES:
                yield seen[max(0, -late) :][:n], one.features[max(0, late) :][:n], late


def _sharpness(cases: Sequence[tuple[Evidence, int]]) -> float:
    """At which the true shifts, give or take one, are most probable."""

    def told(sharpness: float) -> float:
        total = 0.0
        for found, late in cases:
            evidence = np.where(np.isnan(found.correlation), -np.inf, sharpness * found.frames * found.correlation)
            place = len(evidence) // 2 + late
            probability = np.exp(evidence - evidence.max())
            total += float(np.log(probability[place - 1 : place + 2].sum() / probability.sum() + 1e-12))
        return total

    return float(max(_SHARPNESS, key=told))


def measure_sync(
    expert: LinearSync, held_out: Sequence[Recording], taught: Sequence[Recording], seed: int, seen: int = 4
) -> SyncFigures:
    """`taught`: whose mouths stand for what people do beside the rules."""
    spoken, others = [one for one in held_out if one.text], _mouths([one for one in taught if one.text])
    alarms: list[bool] = []
    found: list[bool] = []
    for turn in range(seen):
        for mouth, features, late in _cases(spoken, others, seed + turn, (0, MOVED, -MOVED)):
            evidence = expert.evidence(mouth, features)
            belief = believed(evidence.correlation, evidence.frames, expert.sharpness)
            shifted = _is_shifted(belief, expert.threshold)
            if late:
                found.append(shifted and abs(belief.offset - late) <= _NEAR)
            else:
                alarms.append(shifted)
    return SyncFigures(len(spoken), float(np.mean(alarms)), float(np.mean(found)))


def _is_shifted(belief: OffsetBelief, threshold: float) -> bool:
    return belief.confidence >= threshold and abs(belief.offset) > _TOLERANCE
