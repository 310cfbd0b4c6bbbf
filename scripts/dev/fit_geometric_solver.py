"""Fit `magictalk_core/faces/geometric_solver.json`: landmarks' distances -> MediaPipe's coefficients, by ridge regression.

    MAGICTALK_WEIGHTS=../shared/weights python scripts/dev/fit_geometric_solver.py ../shared/samples/clips

Prints, for each channel, Pearson per clip (median over the clips in which the channel moves) with the person left out.
Left and right channels are fitted together on mirrored faces, so the solver is symmetric.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from magictalk_core.faces.arkit import ARKIT_NAMES, BLIND_CHANNELS, mirror_name
from magictalk_core.faces.face_mesh import load_face_mesh
from magictalk_core.faces.solver import FEATURE_NAMES, face_features, face_frame
from magictalk_core.faces.tracker import open_tracker
from magictalk_core.media.decode import read_frames

OUT = Path(__file__).parents[2] / "magictalk_core" / "faces" / "geometric_solver.json"
CACHE = Path("/tmp/fit_geometric_solver.npz")
CHANNELS = [n for n in ARKIT_NAMES if n not in BLIND_CHANNELS["litert-geometric"]]
SAME_PERSON = {"mead_M030": "M030", "mead_W009": "W009", "grid_id2_swwp2s": "pwij3p", "grid_pwij3p": "pwij3p"}


def person(stem: str) -> str:
    return next((p for prefix, p in SAME_PERSON.items() if stem.startswith(prefix)), stem)


def collect(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if CACHE.exists():
        saved = np.load(CACHE)
        return saved["x"], saved["y"], saved["clip"]
    mesh, reference = load_face_mesh(), open_tracker("mediapipe")
    x, y, clip = [], [], []
    for file in sorted(folder.iterdir()):
        frames = list(read_frames(file))
        for frame, seen in zip(frames, reference.track(frames), strict=True):
            found = mesh.find(frame)
            if found is not None and seen.face_found:
                x.append(face_features(face_frame(found.landmarks)))
                y.append(seen.coefficients)
                clip.append(file.stem)
        print(file.name, len(frames))
    np.savez(CACHE, x=x, y=y, clip=clip)
    return np.array(x), np.array(y), np.array(clip)


def mirrored(x: np.ndarray) -> np.ndarray:
    """The features of the mirrored face."""
    columns = [FEATURE_NAMES.index(mirror(n)) for n in FEATURE_NAMES]
    signs = np.array([-1.0 if n in ("mouth_x", "chin_x") else 1.0 for n in FEATURE_NAMES])
    return x[:, columns] * signs


def mirror(name: str) -> str:
    return name.replace("left", "#").replace("right", "left").replace("#", "right")


def ridge(x: np.ndarray, y: np.ndarray, clip: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """Weights and offset; most of the weight is on what happens within a clip, since neutral faces differ."""
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


def pearson(truth: np.ndarray, guess: np.ndarray, clip: np.ndarray) -> float:
    values = []
    for name in np.unique(clip):
        t, g = truth[clip == name], guess[clip == name]
        if t.std() > 0.03 and g.std() > 0:
            values.append(np.corrcoef(t, g)[0, 1])
    return float(np.median(values)) if values else float("nan")


def main() -> None:
    x, y, clip = collect(Path(sys.argv[1]))
    people = np.array([person(str(c)) for c in clip])
    y = np.nan_to_num(y)
    table, rows = {}, []
    for name in CHANNELS:
        own, other = y[:, ARKIT_NAMES.index(name)], y[:, ARKIT_NAMES.index(mirror_name(name))]
        xs, ys = np.concatenate([x, mirrored(x)]), np.concatenate([own, other])
        clips, who = np.concatenate([clip, np.char.add(clip.astype(str), "~")]), np.concatenate([people, people])
        best = None
        for strength in (0.003, 0.01, 0.03, 0.1, 0.3):
            guess = np.zeros(len(x))
            for p in np.unique(people):
                w, b = ridge(xs[who != p], ys[who != p], clips[who != p], strength)
                guess[people == p] = np.clip(x[people == p] @ w + b, 0, 1)
            score = pearson(own, guess, clip)
            mae = float(np.abs(guess - own).mean())
            if best is None or np.nan_to_num(score) > best[0] + 0.005:
                best = (np.nan_to_num(score), strength, mae)
        w, b = ridge(xs, ys, clips, best[1])
        table[name] = {"offset": round(b, 6), "weights": {f: round(float(v), 6) for f, v in zip(FEATURE_NAMES, w)}}
        rows.append({"channel": name, "pearson": best[0], "mae": best[2], "strength": best[1]})
    print(pd.DataFrame(rows).round(3).to_string())
    OUT.write_text(json.dumps({"version": 1, "channels": table}, indent=0), encoding="utf-8")


if __name__ == "__main__":
    main()
