"""Which channels a tracker is blind to: how far each one moves over real clips, per tracker, as Markdown.

    MAGICTALK_WEIGHTS=../shared/weights python benchmarks/blind_channels.py --clips ../shared/samples/clips > out.md

A channel that stays within `SEEN` in every frame of every person and emotion says nothing, whatever its value: it
belongs in `vocabulary.arkit.BLIND_CHANNELS`, and trackers write null for it.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.faces.extract import observe_video
from magictalk_core.faces.tracker import Tracker, geometric_tracker, open_tracker
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, BLIND_CHANNELS

SUFFIXES = (".mp4", ".mpg", ".mov", ".mkv")
SEEN = 0.002
"""Range over all frames, of 1, below which a channel does not move."""


def coefficients(clips: list[Path], tracker: Tracker, frames: int) -> NDArray[np.float32]:
    """(n, 52) over all clips, NaN where the tracker writes null."""
    seen = (one for clip in clips for one in islice(observe_video(clip, tracker), frames))
    return np.array([one.coefficients for one in seen if one.face_found], np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=Path("../shared/samples/clips"), help="folder of videos")
    parser.add_argument("--frames", type=int, default=150, help="at most so many of each clip")
    arguments = parser.parse_args()
    clips = sorted(path for path in arguments.clips.iterdir() if path.suffix in SUFFIXES)
    for tracker in (open_tracker("mediapipe"), open_tracker("litert", 2), geometric_tracker(2)):
        values = coefficients(clips, tracker, arguments.frames)
        declared = BLIND_CHANNELS[tracker.id.split("/")[0]]
        print(f"\n{tracker.id}, {len(values)} frames of {len(clips)} clips\n")
        print("| channel | least | median | most | moves | declared blind |\n|---|---|---|---|---|---|")
        for name, column in zip(ARKIT_NAMES, values.T, strict=True):
            blind = "yes" if name in declared else ""
            if np.isnan(column).all():
                print(f"| {name} | | | | null | {blind} |")
                continue
            low, middle, high = np.nanmin(column), np.nanmedian(column), np.nanmax(column)
            moves = "" if high - low >= SEEN else "never"
            if moves or blind or high - low < 0.1:
                print(f"| {name} | {low:.5f} | {middle:.5f} | {high:.5f} | {moves} | {blind} |")


if __name__ == "__main__":
    main()
