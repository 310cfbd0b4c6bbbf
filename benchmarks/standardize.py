"""Standardizing against a bare ffmpeg that does the same cut, crop, scale, rate and resampling, side by side.

    python benchmarks/standardize.py --clips ../shared/samples/clips [--rounds 3]

Ours: decode, face detection in every fifth frame, crop, 25 fps H.264 and AAC, 16 kHz WAV, quality scores, signature,
hashes; each clip in a child process of its own, as many at a time as there are processors, through the same call as the
`media` asset. Theirs: one `ffmpeg` process per file, one file after the other, with its default threads, given the crop
that ours found, the same encoder settings, and nothing to detect. The start of our fork server, once per run of the
pipeline, is not counted. Rounds alternate; the ratio is ffmpeg's seconds over ours: above 1 ours is faster.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from magictalk_core.config import MediaConfig
from magictalk_core.preparation.preload import PRELOAD
from magictalk_core.preparation.shards import make_media_piece
from magictalk_core.storage.schema import CLIPS
from magictalk_core.work.isolation import Crash, default_workers, map_isolated

SUFFIXES = (".mp4", ".mpg", ".mov", ".mkv")


def tasks_of(clips: list[Path], out: Path, config: MediaConfig) -> list[tuple[Any, ...]]:
    """Arguments of `make_media_piece`, one tuple a clip."""
    tasks = []
    for clip in sorted(clips, key=lambda path: path.stat().st_size, reverse=True):
        row = dict.fromkeys(CLIPS.names) | {"clip_id": f"bench/{clip.stem}/full", "raw_path": clip.name}
        piece = out / f"{clip.stem}.json"
        tasks.append((row, "0" * 32, str(clip.parent), "", str(out), config.model_dump(), piece))
    return tasks


def ours(clips: list[Path], out: Path, config: MediaConfig) -> float:
    start = time.perf_counter()
    tasks = tasks_of(clips, out, config)
    for index, outcome in map_isolated(
        make_media_piece, tasks, workers=default_workers(), timeout_s=300.0, preload=PRELOAD
    ):
        if isinstance(outcome, Crash):
            raise SystemExit(f"{clips[index]}: {outcome}")
    return time.perf_counter() - start


def theirs(clips: list[Path], out: Path, crops: dict[str, dict[str, Any]], config: MediaConfig) -> float:
    start = time.perf_counter()
    for clip in clips:
        crop = crops[clip.stem]
        size = config.size
        # A window over the picture's edge is cut at the edge: a little less work than ours.
        x, y = max(0, crop["crop_x"]), max(0, crop["crop_y"])
        width = min(crop["crop_size"], crop["native_width"] - x)
        height = min(crop["crop_size"], crop["native_height"] - y)
        filters = f"crop={width}:{height}:{x}:{y},scale={size}:{size}:flags=area,fps={config.fps}"
        command = ["ffmpeg", "-v", "error", "-y", "-i", str(clip), "-map", "0:v:0", "-map", "0:a:0?", "-vf", filters]
        command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(config.crf), "-g", "12", "-bf", "0"]
        command += ["-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k", "-ar", "16000", "-ac", "1"]
        command.append(str(out / f"{clip.stem}.mp4"))
        if crop["audio_path"]:
            command += ["-map", "0:a:0", "-ar", "16000", "-ac", "1", "-c:a", "pcm_s16le", str(out / f"{clip.stem}.wav")]
        subprocess.run(command, check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of videos")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    clips = sorted(path for path in options.clips.iterdir() if path.suffix in SUFFIXES)
    config = MediaConfig()
    with tempfile.TemporaryDirectory() as scratch:
        mine, other = Path(scratch) / "ours", Path(scratch) / "ffmpeg"
        mine.mkdir()
        other.mkdir()
        ours(clips, mine, config)
        crops = {clip.stem: json.loads((mine / f"{clip.stem}.json").read_text()) for clip in clips}
        seconds = sum(crop["duration_s"] for crop in crops.values())
        print(f"{len(clips)} clips, {seconds:.0f} s of video, {default_workers()} processors")
        ratios = []
        for number in range(options.rounds):
            a, b = ours(clips, mine, config), theirs(clips, other, crops, config)
            ratios.append(b / a)
            print(f"round {number + 1}: ours {a:6.2f} s, ffmpeg {b:6.2f} s, ratio {b / a:.2f}", flush=True)
        print(f"median ratio {statistics.median(ratios):.2f}; ours {seconds / a:.0f} x real time in the last round")


if __name__ == "__main__":
    main()
