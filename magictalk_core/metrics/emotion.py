"""Which emotion does a motion show? A small classifier, trained on the tracked motion of the training clips.

It reads windows of 32 frames: mean and standard deviation of every coefficient. Multinomial logistic regression with a
weight penalty, fitted to the end: no seed, the same weights every time. A clip shows the emotion that is most probable
over all its windows. It is this project's own (`motion_emotion`), not Emotion-FAN, which looks at pictures.

The loss stands here in ten lines: scikit-learn's `LogisticRegression` penalises two emotions twice as much as three, so
it would need a case for two, and takes 1.4 s to import; both fit 3,000 windows in less than 0.1 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file
from scipy.optimize import minimize
from scipy.special import log_softmax

from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import atomic_path

__all__ = ["EmotionClassifier"]

WINDOW, STRIDE = 32, 8
PENALTY = 1e-2

Rows = NDArray[np.float64]


def _windows(motion: NDArray[Any]) -> Rows:
    """(windows, 2 D) of a motion (frames, D); a motion shorter than a window is one window."""
    values = np.asarray(motion, np.float64)
    starts = range(0, max(1, len(values) - WINDOW + 1), STRIDE)
    pieces = [values[start : start + WINDOW] for start in starts]
    return np.array([np.concatenate([piece.mean(axis=0), piece.std(axis=0)]) for piece in pieces])


@dataclass(frozen=True, eq=False)
class EmotionClassifier:
    """`weights` (2 D + 1, emotions), the last row is the bias; `mean` and `std` (2 D,) normalise a window."""

    emotions: tuple[str, ...]
    mean: Rows
    std: Rows
    weights: Rows

    @classmethod
    def fit(cls, motions: Sequence[NDArray[Any]], emotions: Sequence[str]) -> EmotionClassifier:
        """From motions (frames, D) in one set of channels without NaN, and the emotion of each.

        Raises `PermanentError` with fewer than two emotions.
        """
        names = tuple(sorted(set(emotions)))
        if len(names) < 2:
            raise PermanentError(f"an emotion classifier needs two emotions, the training clips show {list(names)}")
        windows = [_windows(motion) for motion in motions]
        rows = np.concatenate(windows)
        truth = np.repeat([names.index(e) for e in emotions], [len(w) for w in windows])
        mean, std = rows.mean(axis=0), rows.std(axis=0)
        std = np.where(std > 1e-6, std, np.inf)  # what never changes tells nothing
        x = _with_bias((rows - mean) / std)
        targets = np.eye(len(names))[truth]

        def loss(flat: Rows) -> tuple[float, Rows]:
            weights = flat.reshape(x.shape[1], len(names))
            logs = log_softmax(x @ weights, axis=1)
            gradient = x.T @ (np.exp(logs) - targets) / len(x)
            gradient[:-1] += PENALTY * weights[:-1]
            value = -(targets * logs).sum() / len(x) + PENALTY / 2 * (weights[:-1] ** 2).sum()
            return float(value), gradient.ravel()

        found = minimize(loss, np.zeros(x.shape[1] * len(names)), jac=True, method="L-BFGS-B")
        return cls(names, mean, std, found.x.reshape(x.shape[1], len(names)))

    def shows(self, motion: NDArray[Any]) -> str:
        """The emotion of a motion (frames, D)."""
        logs = log_softmax(_with_bias((_windows(motion) - self.mean) / self.std) @ self.weights, axis=1)
        return self.emotions[int(logs.sum(axis=0).argmax())]

    def accuracy(self, motions: Sequence[NDArray[Any]], emotions: Sequence[str]) -> float:
        """Share of the motions that show the emotion they should, 0 to 1."""
        return float(np.mean([self.shows(m) == e for m, e in zip(motions, emotions, strict=True)]))

    def save(self, path: Path) -> None:
        tensors = {"mean": self.mean, "std": self.std, "weights": self.weights}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata={"emotions": ",".join(self.emotions)})

    @classmethod
    def load(cls, path: Path) -> EmotionClassifier:
        with safe_open(path, "np") as file:
            emotions = tuple(file.metadata()["emotions"].split(","))
            return cls(emotions, *(file.get_tensor(name) for name in ("mean", "std", "weights")))


def _with_bias(rows: Rows) -> Rows:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
