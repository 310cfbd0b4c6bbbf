"""How torch computes while a training lasts; the process gets back what it had."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["repeatable_arithmetic", "torch_threads"]


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """`count` threads. Left at that, whatever the process does next has its small networks wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def repeatable_arithmetic(threads: int) -> Iterator[None]:
    """Deterministic kernels, on a GPU as far as there are any, in so many threads."""
    before = torch.get_deterministic_debug_mode()
    # Not `use_deterministic_algorithms`, which sets the same flag and loads the compiler for an option of its own.
    torch.set_deterministic_debug_mode("warn" if torch.cuda.is_available() else "error")
    try:
        with torch_threads(threads):
            yield
    finally:
        torch.set_deterministic_debug_mode(before)
