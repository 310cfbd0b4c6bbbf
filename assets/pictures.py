"""Plots and tables in the metadata of an asset, so that its page shows what was made and not only where it lies."""

from __future__ import annotations

import base64
from pathlib import Path

import dagster as dg

from magictalk_core.storage.hashes import file_md5

__all__ = ["curves_picture", "picture_of_file", "summary_table"]


def _picture(svg: bytes, about: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![{about}](data:image/svg+xml;base64,{base64.b64encode(svg).decode()})")


def picture_of_file(path: Path, about: str) -> dg.MarkdownMetadataValue:
    """An SVG file."""
    return _picture(path.read_bytes(), about)


def curves_picture(curves: Path, cache: Path) -> dg.MarkdownMetadataValue:
    """The losses of a training over its steps, from its `curves.csv`; drawn once, and kept in the folder `cache`."""
    known = cache / f"{file_md5(curves)}.svg"
    if not known.is_file():
        import pandas as pd

        from magictalk_core.report.plots import curve_figure, loss_metrics
        from magictalk_core.report.svg import PAPER, save_figure

        table = pd.read_csv(curves)
        save_figure(curve_figure(table, loss_metrics(table)[0], PAPER), known)
    return _picture(known.read_bytes(), "loss curves")


def summary_table(summary: Path) -> dg.MarkdownMetadataValue:
    """Mean and 95 % interval per metric and method, from `summary.csv`."""
    import pandas as pd

    from magictalk_core.storage.markdown import markdown_table

    table = pd.read_csv(summary)
    methods = list(dict.fromkeys(table["method"]))
    cells = {
        (row.metric, row.method): f"{row.mean:.4g} ({row.low:.4g} to {row.high:.4g})" for row in table.itertuples()
    }
    rows = [
        [metric, *(cells.get((metric, method), "") for method in methods)] for metric in dict.fromkeys(table["metric"])
    ]
    return dg.MetadataValue.md("\n".join(markdown_table(["", *methods], rows)))
