"""Files meant for others hold what pandas, polars, DuckDB, Spark and fastparquet all read.

Of these only pandas is among this project's packages; the others are asked where they are installed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from test_arkit_dataset import _corpus

from magictalk_core.arkit_dataset.build import build_arkit_dataset
from magictalk_core.storage.schema import ARKIT, CLIPS
from magictalk_core.workspace import Workspace

READ_BY_ALL = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED"}
"""Encodings of Parquet files that Spark 4.0 reads with its default settings, and fastparquet."""


@pytest.fixture
def published(workspace: Workspace, tmp_path: Path) -> Path:
    """A dataset of nine clips."""
    _corpus(workspace, tmp_path / "raw")
    return build_arkit_dataset(workspace, ["c"]).path


def _tables(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


def test_published_tables_have_no_encoding_that_a_reader_lacks(published: Path, workspace: Workspace) -> None:
    tables = [*_tables(published), workspace.clips_table("c"), workspace.shard_table("c", "blendshapes", "b0")]
    assert [path.name for path in tables[:4]] == [
        "test-00000.parquet", "train-00000.parquet", "validation-00000.parquet", "clips.parquet",
    ]  # fmt: skip
    for path in tables:
        metadata = pq.read_metadata(path)
        columns = [
            metadata.row_group(group).column(i)
            for group in range(metadata.num_row_groups)
            for i in range(metadata.num_columns)
        ]
        assert columns and {encoding for column in columns for encoding in column.encodings} <= READ_BY_ALL, path
        assert {column.compression for column in columns} == {"ZSTD"}


@pytest.mark.thinned(3)
@pytest.mark.parametrize("package", ["polars", "duckdb", "fastparquet"])
def test_another_reader_sees_the_same_values(published: Path, package: str) -> None:
    module = pytest.importorskip(package, reason=f"{package} is not installed")
    for path in _tables(published):
        expected = pd.read_parquet(path)
        if package == "polars":
            found = module.read_parquet(path).to_dict(as_series=False)
        elif package == "duckdb":
            found = module.sql(f"SELECT * FROM '{path}'").fetchnumpy()
        else:
            found = module.ParquetFile(str(path)).to_pandas()
        spec = CLIPS if path.name == "clips.parquet" else ARKIT
        for name in spec.names:
            if expected[name].dtype.kind in "fi":
                values = np.array(found[name], dtype=np.float64)
                np.testing.assert_array_equal(values, expected[name].to_numpy(np.float64), err_msg=name)


def test_spark_reads_the_dataset(published: Path) -> None:
    spark = pytest.importorskip("pyspark.sql", reason="pyspark is not installed").SparkSession
    session = spark.builder.master("local[1]").getOrCreate()
    (row,) = session.read.parquet(str(published / "data")).selectExpr("avg(jawOpen)").collect()
    assert row[0] == pytest.approx(float(pd.read_parquet(published / "data")["jawOpen"].mean()), rel=1e-5)
