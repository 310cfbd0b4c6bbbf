"""A written table of the paper as a sheet again, from its Parquet, for those who show it."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from magictalk_core.evaluation.paper_tables.sheet import PRINTED_SOURCE, Column, Number, Row, Sheet
from magictalk_core.storage.parquet import read_frame, table_metadata
from magictalk_core.storage.schema import PAPER_NUMBERS

__all__ = ["SHEET_METADATA", "layout_of", "read_sheet"]

SHEET_METADATA = "sheet"
"""Key of the file's metadata that holds what is no number: title, columns, notes."""

_FACTS = (
    *("value", "unit", "source", "low", "high", "n"),
    *("reason", "stand_ins", "weights", "crop", "size", "split"),
)


def layout_of(sheet: Sheet) -> str:
    """Title, columns and notes, for the metadata of the Parquet file."""
    columns = [[c.metric, c.title, c.arrow, c.decimals, c.is_tick] for c in sheet.columns]
    return json.dumps({"title": sheet.title, "columns": columns, "notes": list(sheet.notes)}, sort_keys=True)


def read_sheet(folder: Path) -> Sheet:
    """The sheet in `tables/<name>/`. Raises `PermanentError` where there is none."""
    path = folder / f"{folder.name}.parquet"
    table = read_frame(PAPER_NUMBERS, path).sort_values("position")
    layout: dict[str, Any] = json.loads(table_metadata(path)[SHEET_METADATA])
    named = ("block", "title", "method", "renderer", "pose")
    rows = []
    for key, own in groupby(table.to_dict("records"), key=lambda record: tuple(record[name] for name in named)):
        records = list(own)
        numbers = {str(record["metric"]): _number(record) for record in records}
        is_printed = records[0]["source"] == PRINTED_SOURCE
        block, title, method, renderer, pose = map(str, key)
        rows.append(Row(block, title, numbers, method, renderer, pose, is_printed))
    columns = tuple(Column(*values) for values in layout["columns"])
    return Sheet(folder.name, layout["title"], columns, tuple(rows), tuple(layout["notes"]))


def _number(record: dict[Any, Any]) -> Number:
    values: dict[str, Any] = {name: None if pd.isna(record[name]) else record[name] for name in _FACTS}
    return Number(
        **{**values, "n": int(values["n"] or 0), "size": None if values["size"] is None else int(values["size"])}
    )
