"""The sync expert's offset search and its judgement of pairs on clips of one, ten and hundred minutes.

    python benchmarks/offset_search.py

Random unit vectors of 25 windows a second, one thread. Memory: what the process took at most above what it had before.
The search is linear in the clip; the judgement looks at every pair of a clip by definition, so only its memory stays.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable

import torch

from magictalk_core.metrics.sync_pairs import pair_auc
from magictalk_core.models.sync_expert.offsets import distances_by_offset

WINDOWS_PER_MINUTE = 25 * 60
MINUTES = {"search": (1, 10, 100), "judgement": (1, 10)}


def _vectors(minutes: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    made = torch.randn(2, minutes * WINDOWS_PER_MINUTE, 64, generator=random)
    return tuple(torch.nn.functional.normalize(made, dim=-1))  # type: ignore[return-value]


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(job: tuple[str, int]) -> tuple[float, float]:
    """Seconds of one call, the best of three, and megabytes above the start."""
    name, minutes = job
    torch.set_num_threads(1)
    motion, speech = _vectors(minutes)
    calls: dict[str, Callable[[], object]] = {
        "search": lambda: distances_by_offset(motion, speech),
        "judgement": lambda: pair_auc([(motion.numpy(), speech.numpy())], 10),
    }
    before, seconds = _megabytes(), []
    for _ in range(3):
        began = time.perf_counter()
        calls[name]()
        seconds.append(time.perf_counter() - began)
    return min(seconds), _megabytes() - before


def main() -> None:
    print("| work | minutes of clip | ms | MB |\n|---|---|---|---|")
    for name, sizes in MINUTES.items():
        for minutes in sizes:
            # A process each: the peak of memory belongs to the process.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                seconds, megabytes = pool.map(measure, [(name, minutes)])[0]
            print(f"| {name} | {minutes} | {1000 * seconds:.1f} | {megabytes:.0f} |", flush=True)


if __name__ == "__main__":
    main()
