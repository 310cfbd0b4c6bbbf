"""What packing a training set and choosing a batch cost as a corpus grows: neither may grow faster than it.

    python benchmarks/training_data.py [--clips 200 2000] [--windows 300000 3000000]

Packing: a corpus of random clips of 100 frames in 20 shards (made as in `benchmarks/read_corpus.py`), seconds and peak
memory of the process. Batches: milliseconds of choosing the 64 windows of a step, the mean of 200 steps in a row,
against shuffling all windows in every step, which is what was done before the order of an epoch was kept.

On two busy cores: 200 clips 9.4 s (mostly imports) and 156 MiB, 2,000 clips 26.6 s and 229 MiB; of 3,000,000 windows
11 ms a step against 1,286.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from magictalk_core.config import TrainingSetConfig
from magictalk_core.training_set.batches import BatchOrder
from magictalk_core.training_set.build import build_training_set
from magictalk_core.training_set.shard_clips import CorpusTables
from magictalk_core.workspace import Workspace

sys.path.insert(0, str(Path(__file__).parent))
from read_corpus import make_corpus

SHARDS, BATCH, STEPS = 20, 64, 200


def pack(home: str) -> tuple[float, float]:
    """Seconds, and MiB that the process took at most."""
    workspace = Workspace(Path(home))
    frames, speech = (
        [workspace.shard_table("c", table, f"b{shard}") for shard in range(SHARDS)]
        for table in ("blendshapes", "speech")
    )
    tables = CorpusTables(workspace.clips_table("c"), frames, speech, "0" * 32 + ".dir")
    began = time.perf_counter()
    build_training_set({"c": tables}, TrainingSetConfig(), "random", workspace.training_set)
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def batches(windows: int) -> tuple[float, float]:
    """Milliseconds of a step's choice, and of a shuffle in every step."""
    starts = np.arange(windows)
    order = BatchOrder(starts, BATCH, 0)
    began = time.perf_counter()
    for step in range(STEPS):
        order.batch(step)
    kept = (time.perf_counter() - began) / STEPS * 1e3
    began = time.perf_counter()
    np.random.default_rng([0, 0]).permutation(starts)
    return kept, (time.perf_counter() - began) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--windows", type=int, nargs="+", default=[300_000, 3_000_000])
    options = parser.parse_args()
    print("| clips | packing s | ms per clip | peak MiB |\n|---|---|---|---|")
    for clips in options.clips:
        with tempfile.TemporaryDirectory() as home, mp.get_context("spawn").Pool(1) as pool:
            make_corpus(Workspace(Path(home)), clips, SHARDS)
            seconds, peak = pool.apply(pack, (home,))
        print(f"| {clips} | {seconds:.1f} | {seconds / clips * 1e3:.2f} | {peak:.0f} |", flush=True)
    print("\n| windows | ms per step | ms per step, shuffled each time |\n|---|---|---|")
    for windows in options.windows:
        kept, shuffled = batches(windows)
        print(f"| {windows:,} | {kept:.2f} | {shuffled:.0f} |")


if __name__ == "__main__":
    main()
