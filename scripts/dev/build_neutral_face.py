"""Build `magictalk_core/faces/neutral_face.npz`: the project's own neutral face on the 468-point topology.

The Procrustes mean of the landmarks of three public-domain works of art with closed mouths, made symmetric, turned to the
front, scaled to a distance of 6.3 cm between the eyes. Left-right pairs come from the same mesh mirrored.

    python scripts/dev/build_neutral_face.py ../shared/samples/portraits ../shared/rigs/mediapipe_canonical_face_model.obj

The canonical model gives two facts, not geometry: which landmark mirrors which, and what a pitch of zero is.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from magictalk_core.faces.landmarks import portrait_landmarks
from magictalk_core.faces.mesh import LEFT_EYE, LIPS_INNER, RIGHT_EYE
from magictalk_core.portrait.picture import read_picture

PORTRAITS = ("painting_mona_lisa.jpg", "statue_hallo_5.jpg", "painting_sadtalker_art10.png")
OUT = Path(__file__).parents[2] / "magictalk_core" / "faces" / "neutral_face.npz"
Points = NDArray[np.float64]


def canonical(path: Path) -> Points:
    lines = [line.split() for line in path.read_text().splitlines()]
    return np.array([[float(v) for v in line[1:4]] for line in lines if line and line[0] == "v"])


def fit(source: Points, target: Points) -> tuple[float, Points]:
    """Scale and rotation that take centred `source` onto centred `target`."""
    u, s, vt = np.linalg.svd(target.T @ source)
    d = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    return float((s * np.diag(d)).sum() / (source**2).sum()), u @ d @ vt


def symmetric(points: Points, mirror: NDArray[np.int64]) -> Points:
    """Turn so that the face equals its mirror picture as well as it can, then average the two."""
    for _ in range(10):
        points = points - points.mean(axis=0)
        other = points[mirror] * [-1, 1, 1]
        _, rotation = fit(other, points)
        half = Rotation.from_matrix(rotation).as_rotvec() / 2
        points = points @ Rotation.from_rotvec(half).as_matrix()
    return (points + points[mirror] * [-1, 1, 1]) / 2


def main() -> None:
    folder, model = Path(sys.argv[1]), canonical(Path(sys.argv[2]))
    distances = ((model[:, None] - model[None] * [-1, 1, 1]) ** 2).sum(-1)
    mirror = distances.argmin(axis=1)
    assert (mirror[mirror] == np.arange(468)).all()
    model = model - model.mean(axis=0)
    faces = []
    for name in PORTRAITS:
        found = portrait_landmarks(read_picture(folder / name).rgb)
        assert found is not None, name
        face = symmetric(found.astype(float) * [1, -1, -1], mirror)
        scale, rotation = fit(face, model)
        faces.append(face * scale @ rotation.T)
    neutral = symmetric(np.mean(faces, axis=0), mirror)
    pitch = Rotation.from_matrix(fit(neutral, model)[1]).as_euler("xyz")[0]
    neutral = neutral @ Rotation.from_euler("x", pitch).as_matrix().T
    eyes = neutral[list(LEFT_EYE)].mean(axis=0) - neutral[list(RIGHT_EYE)].mean(axis=0)
    neutral *= 6.3 / np.linalg.norm(eyes)
    inner = list(LIPS_INNER)
    print(
        "mouth gap, cm:",
        neutral[13] - neutral[14],
        "left eye x > 0:",
        eyes[0] > 0,
        "lips",
        np.ptp(neutral[inner], axis=0),
    )
    np.savez(OUT, neutral=neutral.astype(np.float32), mirror=mirror.astype(np.int32))


if __name__ == "__main__":
    main()
