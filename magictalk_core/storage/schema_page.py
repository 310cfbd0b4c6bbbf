"""The docs page of the table contracts, generated: `python -m magictalk_core.storage.schema_page > docs/tables.md`."""

from __future__ import annotations

import sys

from magictalk_core.storage.schema import TABLES, Column
from magictalk_core.vocabulary.arkit import ARKIT_NAMES

__all__ = ["tables_page"]

_HEAD = """\
# Tables

Generated from `magictalk_core/storage/schema.py` by `python -m magictalk_core.storage.schema_page`; a test holds them
equal. Parquet, zstd, plain values, sorted by the key: pandas, polars, DuckDB, Spark and fastparquet read it. Every file
carries `magictalk.table` and `magictalk.schema_version` in its metadata, and the extractor's id and version where there
is one. A reader refuses another version; only `magictalk convert` also takes `frames` tables of another program.
"""


def _row(name: str, column: Column) -> str:
    bounds = "" if column.low is None and column.high is None else f"{column.low} .. {column.high}"
    cells = (name, str(column.type), column.unit, bounds, "yes" if column.nullable else "", column.description)
    return "| " + " | ".join(cells) + " |"


def tables_page() -> str:
    """Markdown with one section per table; the 52 coefficients are listed once by name."""
    parts = [_HEAD]
    for spec in TABLES.values():
        parts.append(f"\n## {spec.name} (version {spec.version})\n\n{spec.description}.")
        parts.append(f"Key: {', '.join(spec.sort_by)}.\n")
        parts.append("| column | type | unit | range | null | meaning |\n|---|---|---|---|---|---|")
        for column in spec.columns:
            if column.name == ARKIT_NAMES[0]:
                parts.append(_row("52 ARKit names, below", column).replace(ARKIT_NAMES[0], "of that name"))
            elif column.name not in ARKIT_NAMES:
                parts.append(_row(f"`{column.name}`", column))
    parts.append("\n## The 52 ARKit names, in the order of the columns\n\n" + ", ".join(f"`{n}`" for n in ARKIT_NAMES))
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(tables_page())
