"""What the search for near duplicates costs as a corpus grows, and how many of the planted copies it finds.

    python benchmarks/near_duplicates.py [--clips 3000 30000 300000]

Random signatures and lengths of 1 to 12 s; one clip in a hundred is a copy of another with 15 % of its bits changed,
and as many pairs differ in just the limit of the default settings. On 2 busy cores: 0.2 s, 1.9 s and 56 s, of 3,000
copies 3,000 found and 2,997 at the limit; comparing each with each took 23 s for 30,000.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from magictalk_core.config import QualityConfig
from magictalk_core.media.signature import BITS
from magictalk_core.preparation.near_pairs import near_pairs

COPY_DISTANCE = 0.15


def planted(clips: int, copies: int, limit: float, seed: int = 0) -> tuple[list[str], list[float]]:
    """Signatures and lengths; clip i and clip i + 2 * copies are near for the first 2 * copies clips."""
    random = np.random.default_rng(seed)
    bits = random.integers(0, 256, (clips, 2 * BITS // 8), dtype=np.uint8)
    lengths = np.clip(random.gamma(8, 0.5, clips), 1, 12).round(2)
    for i in range(2 * copies):
        changed = int((COPY_DISTANCE if i < copies else limit) * BITS)
        flips = np.zeros((2, BITS), np.uint8)
        for part in flips:
            part[random.choice(BITS, changed, replace=False)] = 1
        bits[i + 2 * copies] = bits[i] ^ np.packbits(flips)
        lengths[i + 2 * copies] = lengths[i]
    half = BITS // 8
    return [f"{row[:half].tobytes().hex()}:{row[half:].tobytes().hex()}" for row in bits], lengths.tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[3000, 30_000, 300_000])
    limit = QualityConfig().max_duplicate_distance
    for clips in parser.parse_args().clips:
        copies = clips // 100
        signatures, lengths = planted(clips, copies, limit)
        start = time.perf_counter()
        found = {(min(pair), max(pair)) for pair in near_pairs(signatures, lengths, limit)}
        seconds = time.perf_counter() - start
        near, at_limit = (
            sum((i, i + 2 * copies) in found for i in range(first, first + copies)) for first in (0, copies)
        )
        print(f"{clips} clips: {seconds:.1f} s, {near} of {copies} copies, {at_limit} of {copies} at the limit")


if __name__ == "__main__":
    main()
