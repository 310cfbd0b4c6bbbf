"""Checks of a table against its contract: nulls, ranges, keys. Pandera runs them; the contract is `schema.py`."""

from __future__ import annotations

from functools import cache

import pandera.pandas as pandera
import pyarrow as pa

from magictalk_core.errors import PermanentError
from magictalk_core.storage.schema import TABLES, TableSpec

__all__ = ["pandera_schema", "validate"]


@cache
def pandera_schema(name: str) -> pandera.DataFrameSchema:
    """The Pandera schema generated from the contract `name`."""
    spec = TABLES[name]
    columns = {}
    for column in spec.columns:
        checks = []
        if column.low is not None:
            checks.append(pandera.Check.ge(column.low))
        if column.high is not None:
            checks.append(pandera.Check.le(column.high))
        columns[column.name] = pandera.Column(checks=checks, nullable=column.nullable, required=True)
    return pandera.DataFrameSchema(columns, unique=list(spec.sort_by), strict=True)


def validate(spec: TableSpec, table: pa.Table, where: str = "") -> None:
    """Raise `PermanentError` naming column, rule and the first offending values."""
    try:
        pandera_schema(spec.name).validate(table.to_pandas(), lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases.head(5)[["column", "check", "failure_case", "index"]].to_dict("records")
        count = len(error.failure_cases)
        raise PermanentError(f"table `{spec.name}` {where}: {count} violations, first: {cases}") from error
