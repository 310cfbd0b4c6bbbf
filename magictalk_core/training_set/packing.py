"""Writing a training set: rows are appended as they come, so that packing needs the memory of one clip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from magictalk_core.vocabulary.clips import Split, Use

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

    def finish(self) -> None:
        """Say in the header how many rows there are."""
        self._file.seek(0)
        self._write_header()
        self.close()

    def close(self) -> None:
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


def _is_learned(row: dict[str, Any]) -> bool:
    """Whether windows of this segment are trained on."""
    return bool(row["split"] == Split.TRAIN and row["use"] == Use.SPEECH)


class Packer:
    """Segments as they come into scratch files, then, ordered by corpus, clip and place, into the arrays of the set.

    So the set depends on its clips alone, not on the shards that they came in. Those of the test split lie last: what
    is learned from is the beginning of every array, whatever is added to the test split.
    """

    def __init__(self, folder: Path, scratch: Path, channels: int, features: int) -> None:
        self._folder, self._scratch = folder, scratch
        self._widths = {"states": channels, "features": features}
        self._came = {name: _Rows(scratch / f"{name}.npy", width) for name, width in self._widths.items()}
        self._rows: list[dict[str, Any]] = []

    def add(self, labels: dict[str, Any], states: NDArray[np.float32], features: NDArray[np.float32] | None) -> None:
        """One segment: states (n, D) and features (n, F); without features it is for style alone."""
        use = Use.SPEECH if features is not None else Use.STYLE
        if features is None:
            # Not zeros, which would be learned as silence by whoever took such frames for speech.
            features = np.full((len(states), self._widths["features"]), np.nan, np.float32)
        self._rows.append({**labels, "use": str(use), "start": self._came["states"].count, "length": len(states)})
        self._came["states"].append(states)
        self._came["features"].append(features)

    @property
    def trains(self) -> bool:
        """Whether there is anything to learn from."""
        return any(map(_is_learned, self._rows))

    def finish(self, min_std: float) -> dict[str, int]:
        """Write the arrays, `index.parquet` and `normalizer.json`; returns counts for people."""
        ordered = sorted(
            self._rows,
            key=lambda row: (row["split"] == Split.TEST, row["corpus"], row["clip_id"], row["clip_start"]),
        )
        numbers = {name: self._write_ordered(name, ordered, min_std) for name in self._widths}
        (self._folder / "normalizer.json").write_text(json.dumps(numbers), encoding="utf-8")
        lengths = np.array([row["length"] for row in ordered])
        starts = np.cumsum(lengths) - lengths
        index = pd.DataFrame(ordered).assign(start=starts).astype({"level": "Int32"})
        table = pa.Table.from_pandas(index, preserve_index=False).replace_schema_metadata(None)
        pq.write_table(table, self._folder / "index.parquet")
        spoken = [row for row in ordered if row["use"] == Use.SPEECH]
        counts = {f"segments_{split}": sum(row["split"] == split for row in spoken) for split in Split}
        counts |= {"frames": int(lengths.sum()), "clips": len({row["clip_id"] for row in spoken})}
        return counts | {"clips_style_only": len({row["clip_id"] for row in ordered}) - counts["clips"]}

    def close(self) -> None:
        """Of a set that is not finished: let go of the scratch files."""
        for rows in self._came.values():
            rows.close()

    def _write_ordered(self, name: str, rows: Sequence[dict[str, Any]], min_std: float) -> dict[str, list[float]]:
        self._came[name].finish()
        came = np.load(self._scratch / f"{name}.npy", mmap_mode="r")
        written, moments = _Rows(self._folder / f"{name}.npy", self._widths[name]), _Moments(self._widths[name])
        for row in rows:
            segment = came[row["start"] : row["start"] + row["length"]]
            written.append(segment)
            if _is_learned(row):
                moments.add(segment)
        written.finish()
        return moments.numbers(min_std)
