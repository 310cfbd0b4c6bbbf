"""What reading every clip of a corpus costs as it grows: seconds per clip must not depend on the number of clips.

    python benchmarks/read_corpus.py [--clips 200 2000] [--shards 4]

Makes a corpus of random clips of 100 frames in a temporary folder, reads motion and speech features of all its clips
in the order of their ids, and prints seconds, milliseconds per clip and peak memory for each size. On 2 busy cores:
1.9 ms per clip of 200, 1.4 of 2,000, 1.0 of 20,000 (1.5 GB); decoding a shard per clip took 75 ms per clip of 200, and
more than 250 of 2,000.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from magictalk_core.preparation.reader import CorpusReader
from magictalk_core.storage.parquet import write_table
from magictalk_core.storage.schema import CLIPS, FRAMES, SPEECH
from magictalk_core.vocabulary.arkit import MOTION_NAMES
from magictalk_core.workspace import Workspace

FRAMES_PER_CLIP = 100
FEATURES = 58


def make_corpus(workspace: Workspace, clips: int, shards: int) -> None:
    """A corpus `c` whose clips lie in `shards` by turns, as hash buckets have it."""
    rows = [
        dict.fromkeys(CLIPS.names)
        | {"clip_id": f"c/s/{i:06d}", "corpus": "c", "shard": f"b{i % shards}", "speaker": "s", "source": "s"}
        | {"licence": "x", "split": "train", "status": "ok", "raw_path": f"{i}.mp4"}
        for i in range(clips)
    ]
    write_table(CLIPS, rows, workspace.clips_table("c"))
    random = np.random.default_rng(0)
    for shard in range(shards):
        ids = np.repeat([row["clip_id"] for row in rows[shard::shards]], FRAMES_PER_CLIP)
        index = np.tile(np.arange(FRAMES_PER_CLIP, dtype=np.int32), len(ids) // FRAMES_PER_CLIP)
        known = {"clip_id": ids, "frame_index": index, "time_s": index / 25, "face_found": True, "confidence": 0.9}
        values = random.random((len(ids), len(MOTION_NAMES)), np.float32)
        frame = pd.DataFrame(known | dict(zip(MOTION_NAMES, values.T, strict=True)) | {"tracker": "random/1"})
        frame = frame.reindex(columns=list(FRAMES.names))
        write_table(FRAMES, frame, workspace.shard_table("c", "blendshapes", f"b{shard}"))
        features = pa.FixedSizeListArray.from_arrays(random.random(len(ids) * FEATURES, np.float32), FEATURES)
        columns = [ids, index, features.cast(pa.list_(pa.float32())), ["random"] * len(ids)]
        table = pa.table(dict(zip(("clip_id", "frame_index", "features", "feature_id"), columns, strict=True)))
        write_table(SPEECH, table.cast(SPEECH.schema()), workspace.shard_table("c", "speech", f"b{shard}"))


def read_all(home: str) -> tuple[float, int]:
    """Seconds and peak memory, in kB, of reading every clip."""
    start = time.perf_counter()
    reader = CorpusReader(Workspace(Path(home)), "c")
    for clip_id in reader.clips["clip_id"]:
        reader.clip(str(clip_id))
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--shards", type=int, default=4)
    options = parser.parse_args()
    for clips in options.clips:
        with tempfile.TemporaryDirectory() as home:
            make_corpus(Workspace(Path(home)), clips, options.shards)
            # A process of its own, so that its peak is its own.
            with mp.get_context("spawn").Pool(1) as pool:
                seconds, peak = pool.apply(read_all, (home,))
        print(f"{clips} clips: {seconds:.2f} s, {1000 * seconds / clips:.2f} ms per clip, peak {peak / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
