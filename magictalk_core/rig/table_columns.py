"""Columns of curve tables that other programs wrote, whatever their types: Parquet of pandas or polars, CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from magictalk_core.errors import PermanentError, UserError
from magictalk_core.rig.text_table import TextTable, cell_number
from magictalk_core.storage.parquet import read_table, table_metadata
from magictalk_core.storage.schema import FRAMES

__all__ = ["Columns", "ParquetColumns", "TextColumns", "truths"]

_YES = frozenset({"true", "1", "1.0", "yes"})
_NO = frozenset({"false", "0", "0.0", "no", "", "none", "null", "nan", "<na>"})


class Columns(Protocol):
    """A table by columns. Every method raises `UserError` for a column that is not what it should be."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def names(self) -> Sequence[str]:
        """Names of the columns."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    def numbers(self, name: str) -> NDArray[np.float64]:
        """(rows,) values, NaN where there is none."""

    def texts(self, name: str) -> list[str]:
        """(rows,) cells as text, empty where there is none."""


def truths(columns: Columns, name: str) -> NDArray[np.bool_]:
    """(rows,) yes or no; no where there is nothing."""
    cells = [cell.strip().lower() for cell in columns.texts(name)]
    for i, cell in enumerate(cells):
        if cell not in _YES and cell not in _NO:
            raise UserError(f"{columns.path}: {name} of row {i + 1}: expected true or false, found {cell[:40]!r}")
    return np.array([cell in _YES for cell in cells], bool)


@dataclass(frozen=True, eq=False)
class ParquetColumns:
    """A Parquet file."""

    path: Path
    table: pa.Table

    @classmethod
    def open(cls, path: Path) -> ParquetColumns:
        """Read `path`; a `frames` table of ours must be of this version. Raises `UserError`."""
        try:
            own = table_metadata(path).get("magictalk.table") == FRAMES.name
            return cls(path, read_table(FRAMES, path) if own else pq.read_table(path))
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path}: no Parquet file that this reads: {' '.join(str(error).split())}") from error
        except PermanentError as error:
            raise UserError(str(error)) from error

    @property
    def names(self) -> Sequence[str]:
        """Names of the columns."""
        return list(self.table.column_names)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.table)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """(rows,) values, NaN where there is none: of floats, integers, decimals, nullable types, digits."""
        try:
            series = pd.to_numeric(self._series(name))
            return np.asarray(series.to_numpy(np.float64, na_value=np.nan))
        except (ValueError, TypeError) as error:
            raise UserError(f"{self.path}: {name} holds no numbers: {' '.join(str(error).split())}") from error

    def texts(self, name: str) -> list[str]:
        """(rows,) cells as text."""
        series = self._series(name).astype(object)
        return ["" if absent else str(value) for value, absent in zip(series, series.isna(), strict=True)]

    def _series(self, name: str) -> pd.Series:
        series: pd.Series = self.table[name].to_pandas()
        return series.astype(object) if isinstance(series.dtype, pd.CategoricalDtype) else series


@dataclass(frozen=True, eq=False)
class TextColumns:
    """A text table."""

    path: Path
    table: TextTable

    @classmethod
    def of(cls, path: Path, table: TextTable) -> TextColumns:
        """Raises `UserError` for a row that is cut short: which of its cells are missing is not known."""
        for line, row in zip(table.lines, table.rows, strict=True):
            if len(row) < len(table.header):
                raise UserError(f"{path}, line {line}: {len(row)} cells under {len(table.header)} headings: cut short")
        return cls(path, table)

    @property
    def names(self) -> Sequence[str]:
        """Names of the columns."""
        return self.table.header

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.table.rows)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """(rows,) values, NaN where there is none."""
        column = self.table.header.index(name)
        values = np.empty(self.rows)
        for i, row in enumerate(self.table.rows):
            try:
                values[i] = cell_number(row[column])
            except ValueError as error:
                raise UserError(f"{self.path}, line {self.table.lines[i]}: {error} ({name})") from error
        return values

    def texts(self, name: str) -> list[str]:
        """(rows,) cells."""
        column = self.table.header.index(name)
        return [row[column].strip() for row in self.table.rows]
