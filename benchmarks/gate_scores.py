"""What the scores of the quality gates say: least, median, most over a folder of clips, and clip by clip, as Markdown.

    python benchmarks/gate_scores.py ../shared/samples/clips /tmp/odd > out.md

Every clip is standardized as in a corpus, with the settings of `MediaConfig`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from magictalk_core.config import MediaConfig, QualityConfig
from magictalk_core.faces.detection import load_face_detector
from magictalk_core.faces.visible import load_face_viewer
from magictalk_core.media.standardize import standardize_clip
from magictalk_core.preparation.gates import GATES, decide

SUFFIXES = (".mp4", ".mpg", ".mov", ".mkv")
SCORES = tuple(dict.fromkeys(gate.score for gate in GATES if gate.score not in {"duration_s", "audio_excess_s"}))


def measured(clip: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        config, out = MediaConfig(), Path(folder)
        return standardize_clip(
            clip, None, None, None, out, "a", config, load_face_detector, open_viewer=load_face_viewer
        )


def summary(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["| score | least | median | most | n |", "|---|---|---|---|---|"]
    for name in SCORES:
        values = [row[name] for row in rows if row[name] is not None]
        if values:
            low, middle, high = np.percentile(values, [0, 50, 100])
            lines.append(f"| {name} | {low:.3f} | {middle:.3f} | {high:.3f} | {len(values)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="folders of videos")
    for folder in parser.parse_args().folders:
        clips = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
        rows = [measured(clip) for clip in clips]
        print(f"\n## {folder.name}, {len(clips)} clips\n", *summary(rows), sep="\n")
        print("\n| clip | turned | " + " | ".join(SCORES) + " | verdict |", "|---" * (len(SCORES) + 3) + "|", sep="\n")
        for clip, row in zip(clips, rows, strict=True):
            verdict = decide(row, QualityConfig())
            scores = " | ".join("" if row[name] is None else f"{row[name]:.3f}" for name in SCORES)
            print(f"| {clip.stem} | {row['turned_deg']} | {scores} | {'ok' if verdict is None else verdict[0]} |")


if __name__ == "__main__":
    main()
