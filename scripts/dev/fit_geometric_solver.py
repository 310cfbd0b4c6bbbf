"""Fit `magictalk_core/faces/geometric_solver.json`: distances between landmarks -> MediaPipe's coefficients.

    MAGICTALK_WEIGHTS=../shared/weights python scripts/dev/fit_geometric_solver.py ../shared/samples/clips

Prints, for each channel, the median over clips in which it moves of the Pearson correlation with MediaPipe, with the person
left out of the fit. A pair of channels is fitted as one on mirrored faces, so the solver is symmetric. A channel sees the
features of its own region alone: few people are here, and on them a smile predicts the brows.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from magictalk_core.faces.face_mesh import load_face_mesh
from magictalk_core.faces.solver import FEATURE_NAMES, face_features, face_frame
from magictalk_core.faces.tracker import open_tracker
from magictalk_core.media.decode import read_frames
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, BLIND_CHANNELS, mirror_name

OUT = Path(__file__).parents[2] / "magictalk_core" / "faces" / "geometric_solver.json"
SAME_PERSON = {"mead_M030": "M030", "mead_W009": "W009", "grid_id2_swwp2s": "pwij3p", "grid_pwij3p": "pwij3p"}
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1)
MOVES = 0.03
"""Standard deviation within a clip above which a channel counts as moving there."""

EYES = tuple(n for n in FEATURE_NAMES if n.startswith(("eye_", "lid_", "under_")))
BROWS = tuple(n for n in FEATURE_NAMES if n.startswith("brow"))
CHEEKS = tuple(n for n in FEATURE_NAMES if n.startswith("cheek"))
MOUTH = tuple(n for n in FEATURE_NAMES if n not in {*EYES, *BROWS, *CHEEKS})
SIGNS = np.array([-1.0 if n in ("mouth_x", "chin_x") else 1.0 for n in FEATURE_NAMES])
MIRROR = [
    FEATURE_NAMES.index(n.replace("left", "#").replace("right", "left").replace("#", "right")) for n in FEATURE_NAMES
]


@dataclass(frozen=True, eq=False)
class Samples:
    """Features (n, features), coefficients (n, 52), clip and person (n,)."""

    x: np.ndarray
    y: np.ndarray
    clip: np.ndarray
    person: np.ndarray


@dataclass(frozen=True, eq=False)
class Fit:
    """One channel's read-out and how it did on people it had not seen."""

    link: str
    columns: list[int]
    weights: np.ndarray
    offset: float
    pearson: float
    mae: float
    clips: int


def region(channel: str) -> list[int]:
    if channel.startswith("eye"):
        names = EYES + (CHEEKS if "Squint" in channel else ())
    elif channel.startswith("brow"):
        names = BROWS + EYES
    else:
        names = MOUTH + (CHEEKS if "Smile" in channel or "UpperUp" in channel else ())
    # One side's muscles move alone, which the clips here hardly show: the other side says nothing about this one.
    other = "right" if channel.endswith("Left") else "left" if channel.endswith("Right") else "#"
    if channel in ("mouthLeft", "mouthRight", "jawLeft", "jawRight"):
        other = "#"
    return [FEATURE_NAMES.index(n) for n in names if other not in n]


def collect(folder: Path, cache: Path | None) -> Samples:
    if cache is not None and cache.exists():
        saved = np.load(cache)
        return Samples(saved["x"], saved["y"], saved["clip"], saved["person"])
    mesh, reference = load_face_mesh(), open_tracker("mediapipe")
    x, y, clip, person = [], [], [], []
    for file in sorted(folder.iterdir()):
        frames = list(read_frames(file))
        for frame, seen in zip(frames, reference.track(frames), strict=True):
            found = mesh.find(frame)
            if found is not None and seen.face_found:
                x.append(face_features(face_frame(found.landmarks)))
                y.append(np.nan_to_num(seen.coefficients))
                clip.append(file.stem)
                person.append(next((p for start, p in SAME_PERSON.items() if file.stem.startswith(start)), file.stem))
    samples = Samples(np.array(x), np.array(y), np.array(clip), np.array(person))
    if cache is not None:
        np.savez(cache, x=samples.x, y=samples.y, clip=samples.clip, person=samples.person)
    return samples


def mirrored(x: np.ndarray) -> np.ndarray:
    """The features of the mirrored face."""
    return x[:, MIRROR] * SIGNS


def fit_linear(x: np.ndarray, y: np.ndarray, clip: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """Ridge, mostly on what happens within a clip: neutral faces differ more than the features move."""
    mean, std = x.mean(0), x.std(0) + 1e-9
    z = (x - mean) / std
    between = 0.15
    zc, yc = z.copy(), y.copy()
    for name in np.unique(clip):
        at = clip == name
        zc[at] -= (1 - between) * z[at].mean(0)
        yc[at] -= (1 - between) * y[at].mean()
    zc -= zc.mean(0)
    yc -= yc.mean()
    w = np.linalg.solve(zc.T @ zc + strength * len(z) * np.eye(z.shape[1]), zc.T @ yc) / std
    return w, float(y.mean() - mean @ w)


def fit_logistic(x: np.ndarray, y: np.ndarray, clip: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """Ridge logistic regression of shares with an intercept per clip (variance 10), dropped afterwards; by Newton steps."""
    mean, std = x.mean(0), x.std(0) + 1e-9
    names, index = np.unique(clip, return_inverse=True)
    a = np.hstack([(x - mean) / std, np.eye(len(names))[index], np.ones((len(x), 1))])
    # Neighbouring frames say the same thing ten times.
    share, k = 0.1, x.shape[1]
    penalty = np.concatenate([np.full(k, strength * len(x) * share), np.full(len(names), 0.1), [1e-3]])
    theta = np.zeros(a.shape[1])
    theta[-1] = np.log(max(y.mean(), 1e-3) / (1 - y.mean()))
    for _ in range(15):
        p = expit(a @ theta)
        curvature = (a * (np.maximum(p * (1 - p), 1e-3) * share)[:, None]).T @ a + np.diag(penalty)
        step = np.linalg.solve(curvature, a.T @ (y - p) * share - penalty * theta)
        theta += step * min(1.0, 3 / np.abs(step).max())
        if np.abs(step).max() < 1e-4:
            break
    w = theta[:k] / std
    return w, float(theta[-1] - mean @ w)


LINKS = {"identity": (fit_linear, lambda v: np.clip(v, 0, 1)), "logistic": (fit_logistic, expit)}


def pearson(truth: np.ndarray, guess: np.ndarray, clip: np.ndarray) -> list[float]:
    """One value for each clip in which the channel moves."""
    at = [clip == name for name in np.unique(clip)]
    return [float(np.corrcoef(truth[a], guess[a])[0, 1]) for a in at if truth[a].std() > MOVES and guess[a].std() > 0]


def fit_channel(samples: Samples, channel: str) -> Fit:
    """Link and strength with the best leave-one-person-out result, refitted on everybody."""
    columns = region(channel)
    own = samples.y[:, ARKIT_NAMES.index(channel)]
    # A pair shares one fit, so that one side is the mirror of the other.
    x = np.concatenate([samples.x, mirrored(samples.x)])[:, columns]
    y = np.concatenate([own, samples.y[:, ARKIT_NAMES.index(mirror_name(channel))]])
    clip = np.concatenate([samples.clip, np.char.add(samples.clip, "~")])
    person = np.concatenate([samples.person, samples.person])
    best: Fit | None = None
    for link, (fit, curve) in LINKS.items():
        for strength in STRENGTHS:
            guess = np.zeros(len(y))
            for p in np.unique(person):
                rows = np.flatnonzero(person != p)[::3]
                w, b = fit(x[rows], y[rows], clip[rows], strength)
                guess[person == p] = curve(x[person == p] @ w + b)
            values = pearson(y, guess, clip)
            score = float(np.median(values)) if values else 0.0
            mae = float(np.abs(guess - y).mean())
            if best is None or score - mae > best.pearson - best.mae + 0.005:
                w, b = fit(x, y, clip, strength)
                best = Fit(link, columns, w, b, score, mae, len(values))
    assert best is not None
    return best


def mirror_fit(fit: Fit, channel: str) -> Fit:
    """The read-out of the other side: exactly the same on the mirrored face."""
    weights = np.array([SIGNS[i] * fit.weights[fit.columns.index(MIRROR[i])] for i in region(channel)])
    return replace(fit, weights=weights, columns=region(channel))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--cache", type=Path, help="keep the tracked samples in this .npz file")
    arguments = parser.parse_args()
    samples = collect(arguments.clips, arguments.cache)
    table, rows = {}, []
    fits: dict[str, Fit] = {}

    for name in ARKIT_NAMES:
        other = mirror_name(name)
        fit = mirror_fit(fits[other], name) if other in fits else fit_channel(samples, name)
        fits[name] = fit
        blind = name in BLIND_CHANNELS["litert-geometric"]
        rows.append((name, fit.clips, fit.pearson, fit.mae, fit.link, "blind" if blind else ""))
        if not blind:
            names = [FEATURE_NAMES[i] for i in fit.columns]
            weights = {f: round(float(v), 5) for f, v in zip(names, fit.weights, strict=True)}
            table[name] = {"link": fit.link, "offset": round(fit.offset, 5), "weights": weights}
    print(
        pd.DataFrame(rows, columns=["channel", "clips", "pearson", "mae", "link", ""]).round(3).to_string(index=False)
    )
    OUT.write_text(json.dumps({"channels": table}, indent=0), encoding="utf-8")


if __name__ == "__main__":
    main()
