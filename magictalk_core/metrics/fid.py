"""FID: Frechet distance of two sets of Inception features, as Heusel et al. (2017) define it; lower is more alike.

Small sets are biased upwards: report the number of frames beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError

__all__ = ["fid"]

Rows = NDArray[np.float64]


def fid(real: NDArray[Any], made: NDArray[Any]) -> float:
    """|mean difference|^2 + trace(A + B - 2 (A B)^(1/2)) of the Gaussians fitted to features (n, d) and (m, d).

    Exact where n or m is below d, where a matrix root of the singular product is not: with centred rows X and Y,
    A = X'X and B = Y'Y, the trace of the root is the sum of the singular values of X Y'. Raises `PermanentError` for
    fewer than two rows, or features of different size.
    """
    if real.ndim != 2 or made.ndim != 2 or real.shape[1] != made.shape[1] or min(len(real), len(made)) < 2:
        raise PermanentError(
            f"FID: expected features (n, d) and (m, d), n and m >= 2, found {real.shape}, {made.shape}"
        )
    first, second = real.astype(np.float64), made.astype(np.float64)
    mean = first.mean(axis=0) - second.mean(axis=0)
    x, y = _root(first), _root(second)
    shared = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    value = mean @ mean + np.square(x).sum() + np.square(y).sum() - 2 * shared
    return float(max(0.0, value))


def _root(rows: Rows) -> Rows:
    """(at most d, d) matrix R with R'R the sample covariance of the rows."""
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    return np.asarray(centred if len(rows) <= rows.shape[1] else np.linalg.qr(centred, mode="r"))
