"""The 14 real clips with sound of ../shared/samples: tracked mouths and voices, kept in a folder outside of the
project.

Real people: nothing of them is copied here or published. Tracked with MediaPipe (`face_landmarker.task`) at 25 fps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.extract import observe_video
from magictalk_core.faces.tracker import open_tracker
from magictalk_core.media.decode import read_audio
from magictalk_core.vocabulary.arkit import ARKIT_NAMES
from magictalk_core.vocabulary.rates import SAMPLE_RATE

__all__ = ["LAGS", "RealClip", "load_clip"]

LAGS = {
    "edtalk_obama_20s.mp4": -6, "sadtalker_wda_aoc.mp4": -3, "real3d_may_5s.mp4": -3,
    "mead_M030_sad_level3_001_audio.mp4": -2, "latentsync_demo1.mp4": -1, "videoretalking_1.mp4": 1,
    "videoretalking_4.mp4": 0, "videoretalking_5.mp4": -1, "grid_bbaf2n.mpg": 0, "grid_brbk7n.mpg": 0,
    "grid_lwbsza.mpg": 0, "grid_pwij3p.mpg": 0, "grid_id2_swwp2s.mpg": -1, "grid_swiz3n.mpg": -1,
}  # fmt: skip
"""Frames between sound and picture in each file, the same for every method; negative: the sound is late. Measured once
(../shared/reference/real_voices.md), never chosen for a method."""

_UPPER_LIP, _LOWER_LIP, _FOREHEAD, _CHIN = 13, 14, 10, 152
"""Points of the face mesh: the inner lips in the middle, the top of the face, the chin."""


@dataclass(frozen=True, eq=False)
class RealClip:
    """`samples` 16 kHz mono; per frame `mouth` (n, 52) coefficients in ARKit's order and `gap` (n,), the opening
    between the lips over the height of the face; NaN where no face was seen."""

    name: str
    lag: int
    samples: NDArray[np.float32]
    mouth: NDArray[np.float32]
    gap: NDArray[np.float32]

    def channel(self, name: str) -> NDArray[np.float32]:
        return self.mouth[:, ARKIT_NAMES.index(name)]


def _tracked(video: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rows, gaps = [], []
    for seen in observe_video(video, open_tracker("mediapipe")):
        rows.append(seen.coefficients)
        gap = np.nan
        if seen.landmarks is not None:
            points = seen.landmarks
            height = np.linalg.norm(points[_FOREHEAD] - points[_CHIN])
            gap = float(np.linalg.norm(points[_UPPER_LIP] - points[_LOWER_LIP]) / height)
        gaps.append(gap)
    return np.stack(rows).astype(np.float32), np.array(gaps, np.float32)


def load_clip(clips: Path, name: str, cache: Path) -> RealClip:
    """A clip, tracked at the first call and read from `cache` afterwards."""
    kept = cache / f"{name}.npz"
    if not kept.is_file():
        mouth, gap = _tracked(clips / name)
        samples = read_audio(clips / name, SAMPLE_RATE)
        cache.mkdir(parents=True, exist_ok=True)
        with kept.open("wb") as file:
            np.savez(file, mouth=mouth, gap=gap, samples=samples)
    with np.load(kept) as file:
        return RealClip(name, LAGS[name], file["samples"], file["mouth"], file["gap"])
