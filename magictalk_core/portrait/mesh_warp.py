"""A picture redrawn with the triangles of a mesh at other places."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["warp_mesh"]

_MOVED_PX = 0.02


def warp_mesh(
    picture: NDArray[np.uint8],
    source: NDArray[np.floating],
    target: NDArray[np.floating],
    triangles: NDArray[np.int32],
) -> NDArray[np.uint8]:
    """Draw the mesh at `target` (n, 2) with the texture that lies at `source` (n, 2); elsewhere the picture stays."""
    height, width = picture.shape[:2]
    map_y, map_x = np.mgrid[0:height, 0:width].astype(np.float32)
    for corners in triangles[np.abs(target - source)[triangles].max(axis=(1, 2)) > _MOVED_PX]:
        to, of = target[corners].astype(np.float64), source[corners].astype(np.float64)
        low = np.clip(np.floor(to.min(axis=0)), 0, [width, height]).astype(int)
        high = np.clip(np.ceil(to.max(axis=0)) + 1, 0, [width, height]).astype(int)
        matrix = np.concatenate([to, np.ones((3, 1))], axis=1).T
        if (high <= low).any() or abs(np.linalg.det(matrix)) < 1e-9:
            continue
        y, x = np.mgrid[low[1] : high[1], low[0] : high[0]]
        places = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
        weights = np.linalg.solve(matrix, places)
        # A hair beyond the edge, so that no pixel between two triangles is left out.
        inside = (weights > -1e-6).all(axis=0)
        found = weights[:, inside].T @ of
        px, py = x.ravel()[inside], y.ravel()[inside]
        map_x[py, px], map_y[py, px] = found[:, 0], found[:, 1]
    return np.asarray(cv2.remap(picture, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)
