"""Blendshapes from video: the obvious loop, ours, and the bare networks, side by side in one run.

    MAGICTALK_WEIGHTS=../shared/weights python benchmarks/extract.py --clips ../shared/samples/clips [--rounds 3]
    MAGICTALK_WEIGHTS=../shared/weights python benchmarks/extract.py --memory 100000

The obvious loop: OpenCV's VideoCapture and MediaPipe's Face Landmarker in video mode, frame by frame, one face,
coefficients and head matrix on, with the threads that both take by default. Ours: `tracker litert` from file to table,
decoding included; all clips as the asset does it (a child process per clip, one per processor), and the 1080p clips
one by one as `magictalk extract` does it (one process, a thread per processor). The bare networks ("speed of light"):
the three networks of the bundle on one prepared input, one process per processor, no picture ever touched. All speeds
are frames per second of the frames that each of them processed: the loop takes a clip's own frames, ours 25 a second.
`--memory` tracks that many frames in one process and prints the resident memory on the way.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import resource
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from magictalk_core.faces.bundle import LandmarkerBundle
from magictalk_core.faces.bundle_file import BUNDLE, bundle_member
from magictalk_core.faces.extract import extract_clip, extract_video, frames_table
from magictalk_core.faces.litert import LiteRtModel
from magictalk_core.faces.tracker import open_tracker
from magictalk_core.media.decode import read_frames
from magictalk_core.media.probe import probe
from magictalk_core.preparation.preload import PRELOAD
from magictalk_core.weights.resolver import resolve
from magictalk_core.work.isolation import Crash, default_workers, map_isolated

SUFFIXES = (".mp4", ".mpg", ".mov", ".mkv")
NETWORKS = ("face_detector.tflite", "face_landmarks_detector.tflite", "face_blendshapes.tflite")
BARE_FRAMES = 400


def obvious_loop(clip: Path) -> int:
    """Frames processed."""
    import cv2
    from mediapipe import Image, ImageFormat
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(resolve(BUNDLE))),
        running_mode=vision.RunningMode.VIDEO,
        num_faces=1,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    frames = 0
    with vision.FaceLandmarker.create_from_options(options) as landmarker:
        capture = cv2.VideoCapture(str(clip))
        fps = capture.get(cv2.CAP_PROP_FPS) or 25.0
        while True:
            read, bgr = capture.read()
            if not read:
                break
            rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            landmarker.detect_for_video(Image(image_format=ImageFormat.SRGB, data=rgb), round(frames * 1000 / fps))
            frames += 1
    return frames


def bare_networks(frames: int) -> None:
    """Invoke the three networks; what any tracker on this machine needs at least."""
    models = [LiteRtModel(bundle_member(name)) for name in NETWORKS]
    for model in models:
        model.run(np.full(model.shape, 0.5, np.float32))
    for _ in range(frames):
        for model in models:
            model.invoke()


def timed(function: Any, *arguments: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def bare_speed(processes: int) -> float:
    """Frames per second of all processes together, model loading not counted."""
    with mp.get_context("spawn").Pool(processes) as pool:
        pool.map(bare_networks, [5] * processes, chunksize=1)
        seconds, _ = timed(lambda: pool.map(bare_networks, [BARE_FRAMES] * processes, chunksize=1))
    return processes * BARE_FRAMES / seconds


def count_frames(clip: Path, clip_id: str) -> int:
    """Extract one clip in a child process; only numbers and words come back from one."""
    return len(extract_clip(clip, clip_id, "litert"))


def ours_all(clips: list[Path]) -> int:
    """Every clip in a child process of its own; frames in all tables."""
    longest_first = sorted(clips, key=lambda clip: clip.stat().st_size, reverse=True)
    tasks = [(clip, f"bench/clips/{clip.stem}") for clip in longest_first]
    frames = 0
    for index, outcome in map_isolated(
        count_frames, tasks, workers=default_workers(), timeout_s=600.0, preload=PRELOAD
    ):
        if isinstance(outcome, Crash):
            raise SystemExit(f"{longest_first[index]}: {outcome}")
        frames += outcome
    return frames


def ours_one(clip: Path) -> int:
    return len(extract_video(clip, "bench/clips/one", open_tracker("litert", default_workers()), default_workers()))


def is_large(clip: Path) -> bool:
    facts = probe(clip)
    return (facts.width or 0) * (facts.height or 0) >= 1920 * 1080


def compare(clips: list[Path], rounds: int) -> None:
    large = [clip for clip in clips if is_large(clip)]
    print(f"{len(clips)} clips, {default_workers()} processors")
    ours_all(clips[:1])  # the fork server starts once per pipeline run
    ratios: dict[str, list[float]] = {}

    def note(words: str, ours: float, other: float) -> None:
        ratios.setdefault(words, []).append(ours / other)
        print(f"  {words}: {ours:.0f} over {other:.0f} frames/s = {ours / other:.2f}", flush=True)

    for number in range(rounds):
        print(f"round {number + 1}")
        for clip in large:
            seconds, frames = timed(obvious_loop, clip)
            other = frames / seconds
            seconds, frames = timed(ours_one, clip)
            note(f"{clip.name}, ours over the loop", frames / seconds, other)
        seconds, frames = timed(lambda: sum(map(obvious_loop, clips)))
        loop = frames / seconds
        seconds, frames = timed(ours_all, clips)
        note("all clips, ours over the loop", frames / seconds, loop)
        note("all clips, ours over the bare networks", frames / seconds, bare_speed(default_workers()))
    for words, values in ratios.items():
        print(f"{words}: median {statistics.median(values):.2f} ({', '.join(f'{r:.2f}' for r in values)})")


def memory(frames: int, clip: Path) -> None:
    """Track the frames of one clip over and over; a leak shows as growth."""
    pictures = list(read_frames(clip))
    observe = LandmarkerBundle().observe

    def observations() -> Iterator[Any]:
        for number in range(frames):
            if number % max(1, frames // 10) == 0:
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                now = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(f"{number:7d} frames: {now:6.0f} MiB, peak {peak:6.0f} MiB", flush=True)
            yield observe(pictures[number % len(pictures)])

    table = frames_table("bench/clips/memory", observations(), "litert-blendshapes")
    print(f"{len(table)} rows")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=Path("../shared/samples/clips"), help="folder of videos")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, default=0, metavar="FRAMES", help="track so many frames, print memory")
    options = parser.parse_args()
    clips = sorted(path for path in options.clips.iterdir() if path.suffix in SUFFIXES)
    if options.memory:
        memory(options.memory, min(clips, key=lambda clip: clip.stat().st_size))
    else:
        compare(clips, options.rounds)


if __name__ == "__main__":
    main()
