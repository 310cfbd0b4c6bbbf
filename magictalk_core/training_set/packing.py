"""Writing a training set: rows are appended as they come, so that packing needs the memory of one clip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from magictalk_core.vocabulary.clips import Split

__all__ = ["Packer"]


class _Rows:
    """A `.npy` file of float32 rows that grows: NumPy's header has room for its first number to grow in place."""

    def __init__(self, path: Path, width: int) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._width = width
        self.count = 0
        self._write_header()

    def _write_header(self) -> None:
        shape = (self.count, self._width)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, rows: NDArray[np.float32]) -> None:
        self._file.write(np.ascontiguousarray(rows, "<f4").tobytes())
        self.count += len(rows)

    def close(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.close()


class _Moments:
    """Mean and standard deviation per column of rows that come in pieces, in double precision."""

    def __init__(self, width: int) -> None:
        self._count = 0
        self._sum, self._squares = np.zeros(width), np.zeros(width)

    def add(self, rows: NDArray[np.float32]) -> None:
        self._count += len(rows)
        self._sum += rows.sum(axis=0, dtype=np.float64)
        self._squares += np.square(rows, dtype=np.float64).sum(axis=0)

    def numbers(self, min_std: float) -> dict[str, list[float]]:
        """A channel that hardly moves must not be blown up by the tracker's noise: no less than `min_std`."""
        mean = self._sum / self._count
        std = np.sqrt(np.maximum(self._squares / self._count - mean**2, 0))
        return {"mean": mean.tolist(), "std": np.maximum(std, min_std).tolist()}


class Packer:
    """Segments into `folder`; a context manager, whose end completes the arrays."""

    def __init__(self, folder: Path, channels: int, features: int) -> None:
        self._folder = folder
        self._states, self._features = _Rows(folder / "states.npy", channels), _Rows(folder / "features.npy", features)
        self._state_moments, self._feature_moments = _Moments(channels), _Moments(features)
        self.rows: list[dict[str, Any]] = []

    def __enter__(self) -> Packer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._states.close()
        self._features.close()

    def add(self, labels: dict[str, Any], states: NDArray[np.float32], features: NDArray[np.float32]) -> None:
        """One segment: states (n, D) and features (n, F)."""
        self.rows.append({**labels, "start": self._states.count, "length": len(states)})
        self._states.append(states)
        self._features.append(features)
        if labels["split"] == Split.TRAIN:
            self._state_moments.add(states)
            self._feature_moments.add(features)

    @property
    def trains(self) -> bool:
        """Whether there is anything to learn from."""
        return any(row["split"] == Split.TRAIN for row in self.rows)

    def write_index(self, min_std: float) -> dict[str, int]:
        """`index.parquet` and `normalizer.json`; returns counts for people."""
        index = pd.DataFrame(self.rows).astype({"level": "Int32"})
        table = pa.Table.from_pandas(index, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, self._folder / "index.parquet")
        numbers = {"states": self._state_moments.numbers(min_std), "features": self._feature_moments.numbers(min_std)}
        (self._folder / "normalizer.json").write_text(json.dumps(numbers), encoding="utf-8")
        counts = {f"segments_{split}": sum(row["split"] == split for row in self.rows) for split in _SPLITS}
        return counts | {"frames": self._states.count, "clips": len({row["clip_id"] for row in self.rows})}


_SPLITS: Sequence[Split] = tuple(Split)
