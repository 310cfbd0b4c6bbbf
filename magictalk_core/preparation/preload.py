"""What the children of preparation need, imported once by the server that they are forked from."""

from __future__ import annotations

__all__ = ["PRELOAD"]

PRELOAD = (
    "magictalk_core.media.standardize",
    "magictalk_core.faces.extract",
    "magictalk_core.speech.features",
    "magictalk_core.preparation.shards",
    "magictalk_core.preparation.index",
    "ai_edge_litert.interpreter",
    "scipy.sparse.linalg",
    "pyarrow.parquet",
    "pandera.pandas",
)
"""One list for every step of preparation, and for those beside it in one process: there is one server per process, and
it reads the list of the first call (`work.isolation.map_isolated`)."""
