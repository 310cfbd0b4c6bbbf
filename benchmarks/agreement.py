"""How trackers agree: `litert` and the geometric solver against MediaPipe's Face Landmarker, clip by clip, as Markdown.

    MAGICTALK_WEIGHTS=../shared/weights python benchmarks/agreement.py --clips ../shared/samples/clips > out.md

Every clip is tracked from its raw file, as `magictalk extract` does it. A channel moves in a clip when its standard
deviation there, as MediaPipe sees it, is at least 0.01 (0.03 for the geometric solver, whose errors are larger).
Landmark distances are means over the face, in shares of the distance between the outer eye corners.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from magictalk_core.faces.extract import observe_video
from magictalk_core.faces.observation import FaceObservation
from magictalk_core.faces.tracker import Tracker, geometric_tracker, open_tracker
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

SUFFIXES = (".mp4", ".mpg", ".mov", ".mkv")
Pairs = Sequence[tuple[FaceObservation, FaceObservation]]


def correlations(pairs: Pairs, least_std: float) -> dict[str, float]:
    """Pearson's r by name, of channels that move and that both see."""
    reference, other = (np.array([pair[i].coefficients for pair in pairs]) for i in (0, 1))
    moving = [
        i
        for i in range(len(ARKIT_NAMES))
        if np.isfinite(reference[:, i]).all() and np.isfinite(other[:, i]).all() and reference[:, i].std() >= least_std
    ]
    return {
        ARKIT_NAMES[i]: float(np.corrcoef(reference[:, i], other[:, i])[0, 1]) if other[:, i].std() > 0 else 0.0
        for i in moving
    }


def landmark_distance(a: FaceObservation, b: FaceObservation) -> float:
    assert a.landmarks is not None and b.landmarks is not None
    eyes = np.linalg.norm(a.landmarks[33, :2] - a.landmarks[263, :2])
    n = min(len(a.landmarks), len(b.landmarks))
    return float(np.linalg.norm(a.landmarks[:n, :2] - b.landmarks[:n, :2], axis=1).mean() / eyes)


def row(name: str, seen: list[FaceObservation], other: list[FaceObservation]) -> str:
    pairs = [(a, b) for a, b in zip(seen, other, strict=True) if a.face_found and b.face_found]
    one_sided = sum(a.face_found != b.face_found for a, b in zip(seen, other, strict=True))
    apart = np.nanmean([np.abs(a.coefficients - b.coefficients) for a, b in pairs])
    found = correlations(pairs, 0.01)
    worst = min(found, key=lambda channel: found[channel])
    distance = max(landmark_distance(a, b) for a, b in pairs)
    turn = max(float(np.abs(a.pose[:3] - b.pose[:3]).max()) for a, b in pairs)
    return (
        f"| {name} | {len(seen)} | {one_sided} | {apart:.5f} | {len(found)} | {found[worst]:.4f} ({worst}) "
        f"| {100 * distance:.2f} % | {turn:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=Path("../shared/samples/clips"), help="folder of videos")
    clips = sorted(path for path in parser.parse_args().clips.iterdir() if path.suffix in SUFFIXES)
    reference, litert, geometric = open_tracker("mediapipe"), open_tracker("litert", 2), geometric_tracker(2)
    print("| clip | frames | face seen by one only | mean abs. difference | moving | least r | landmarks | degrees |")
    print("|---|---|---|---|---|---|---|---|")
    by_channel: defaultdict[str, list[float]] = defaultdict(list)
    for clip in clips:

        def track(tracker: Tracker, clip: Path = clip) -> list[FaceObservation]:
            return list(observe_video(clip, tracker))

        seen = track(reference)
        print(row(clip.stem, seen, track(litert)), flush=True)
        pairs = [(a, b) for a, b in zip(seen, track(geometric), strict=True) if a.face_found and b.face_found]
        for channel, r in correlations(pairs, 0.03).items():
            by_channel[channel].append(r)
    print("\n| channel | clips in which it moves | median r | least r |\n|---|---|---|---|")
    for channel in ARKIT_NAMES:
        if by_channel[channel]:
            values = by_channel[channel]
            print(f"| {channel} | {len(values)} | {np.median(values):.3f} | {min(values):.3f} |")


if __name__ == "__main__":
    main()
