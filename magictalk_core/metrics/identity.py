"""CSIM: whether two pictures show the same person, as the cosine of their face embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError

__all__ = ["csim"]


def csim(a: NDArray[Any], b: NDArray[Any]) -> float | None:
    """Mean cosine of the embeddings (n, d) with those of the same row, or with the one embedding (d,) of a portrait.

    -1 to 1, higher is more the same person; rows with NaN, without a face, do not count, and None stands where none is
    left. The value belongs to the network that made the embeddings. Raises `PermanentError` for shapes that do not
    pair.
    """
    if a.ndim != 2 or b.shape not in (a.shape, a.shape[1:]):
        raise PermanentError(f"CSIM: expected embeddings (n, d) and (n, d) or (d,), found {a.shape} and {b.shape}")
    first, second = np.broadcast_arrays(a.astype(np.float64), b.astype(np.float64))
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    seen = np.isfinite(lengths) & (lengths > 0)
    if not seen.any():
        return None
    return float(((first[seen] * second[seen]).sum(axis=1) / lengths[seen]).mean())
