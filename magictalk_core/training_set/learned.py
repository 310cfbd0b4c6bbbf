"""What a training reads of a training set, as one digest: the identity of the data of a training."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from magictalk_core.storage.hashes import digest_of
from magictalk_core.training_set.dataset import TrainingSet

__all__ = ["learned_digest"]

_READ_FACTS = ("channels", "feature_id", "feature_size", "tracker_kind", "window", "stride")
_READ_COLUMNS = ("corpus", "clip_id", "speaker", "emotion", "split", "use", "length")
"""Of `index.parquet`: a change of another column, such as `level`, trains nothing again."""


def learned_digest(folder: Path, info: dict[str, Any]) -> str:
    """Of a packed training set: channels, windows, normalisation, segments and frames of all but the test split.

    A clip that only the test split has changes nothing of it, nor does a digest of a corpus.
    """
    data = TrainingSet.of(folder, info).learned()
    rows = data.index[list(_READ_COLUMNS)].astype(object)
    return digest_of(
        {
            "facts": {name: info[name] for name in _READ_FACTS},
            "normalizer": data.normalizer,
            "segments": rows.where(rows.notna(), None).to_numpy().tolist(),
            "states": _content(data.states),
            "features": _content(data.features),
        }
    )


def _content(values: np.ndarray[Any, Any]) -> str:
    """md5 of a memory-mapped array, which need not fit in memory."""
    return hashlib.md5(np.ascontiguousarray(values).data.cast("B")).hexdigest()
