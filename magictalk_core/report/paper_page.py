"""`paper/paper.html`: the paper's tables beside ours, its figures and the comparison videos, on one page."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from magictalk_core.evaluation.paper_tables.read import read_sheet
from magictalk_core.evaluation.paper_tables.sheet import Column, Number, Row, Sheet, how_measured, reasons_of
from magictalk_core.evaluation.paper_tables.text import note_mark
from magictalk_core.presets.preset import Preset
from magictalk_core.report.report import inline_script, page_environment
from magictalk_core.storage.atomic import write_text
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.work.needed import needed
from magictalk_core.work.provenance import Work, input_of
from magictalk_core.workspace import Workspace

__all__ = ["PAPER_PAGE_VERSION", "PAPER_TABLES", "PaperPage", "write_paper_page"]

PAPER_PAGE_VERSION = "1"
PAPER_TABLES = ("table1", "table2", "table3", "table4", "ablations")
_FIGURES = {
    "figure4": "Figure 4: stills of the methods",
    "figure6": "Figure 6: with and without style embedding, on the rig",
    "figure9": "Figure 9: one face and one voice in every style",
}


@dataclass(frozen=True)
class PaperPage:
    """The page and its md5."""

    path: Path
    md5: str


def write_paper_page(workspace: Workspace, corpora: Sequence[str], preset: Preset) -> PaperPage:
    """Write the page from the tables, figures and grids that the workspace holds."""
    path = workspace.paper / "paper.html"
    folders = {name: workspace.tables / name for name in PAPER_TABLES}
    folders |= {name: workspace.figures / name for name in _FIGURES} | {"grids": workspace.videos / "grids"}
    for name, folder in folders.items():
        kind = "tables" if name in PAPER_TABLES else "videos" if name == "grids" else "figures"
        needed(folder / (f"{name}.parquet" if kind == "tables" else "shown.json"), f"{kind}/{name}")
    inputs = [input_of(workspace.home, name, folder) for name, folder in folders.items()]
    settings = {"name": preset.name, "corpora": list(corpora)}
    work = Work(workspace.home, "paper", path, PAPER_PAGE_VERSION, inputs, settings)
    made = work.made()
    if made is not None:
        return PaperPage(path, made.md5)
    sheets = [read_sheet(folders[name]) for name in PAPER_TABLES]
    view = {
        "preset": preset.name,
        "corpora": list(corpora),
        "sheets": [_sheet_view(sheet) for sheet in sheets],
        "figures": [{"title": title, **_shown(folders[name], path.parent)} for name, title in _FIGURES.items()],
        "grids": _shown(folders["grids"], path.parent),
        "synthetic_label": SYNTHETIC_LABEL,
    }
    write_text(path, page_environment().get_template("paper.html").render(view, **inline_script()))
    return PaperPage(path, work.record().md5)


def _shown(folder: Path, page: Path) -> dict[str, Any]:
    """What a figure's folder holds, as links from the page, and what could not be made."""
    shown = json.loads((folder / "shown.json").read_text(encoding="utf-8"))
    files = sorted(file for file in folder.iterdir() if file.suffix in (".png", ".mp4"))
    links = [{"src": quote(os.path.relpath(file, page)), "name": file.stem, "kind": file.suffix[1:]} for file in files]
    reasons = {clip: one["reason"] for clip, one in shown.items() if isinstance(one, dict) and "reason" in one}
    return {"files": links, "not_made": reasons}


def _sheet_view(sheet: Sheet) -> dict[str, Any]:
    marks = {reason: note_mark(i) for i, reason in enumerate(reasons_of(sheet))}
    blocks = []
    for block, rows in groupby(sheet.rows, key=lambda row: row.block):
        own = list(rows)
        columns = [c for c in sheet.columns if any(c.metric in row.numbers for row in own)]
        blocks.append(
            {
                "title": block,
                "heads": [f"{c.title} {c.arrow}".strip() for c in columns],
                "rows": [_row_view(row, columns, marks) for row in own],
            }
        )
    return {
        "name": sheet.name,
        "title": sheet.title,
        "blocks": blocks,
        "reasons": [(mark, reason) for reason, mark in marks.items()],
        "notes": [*sheet.notes, *how_measured(sheet)],
    }


def _row_view(row: Row, columns: Sequence[Column], marks: dict[str, str]) -> dict[str, Any]:
    cells = [_cell_view(row.numbers.get(column.metric), column, marks) for column in columns]
    return {"title": row.title, "printed": row.is_printed, "cells": cells}


def _cell_view(number: Number | None, column: Column, marks: dict[str, str]) -> dict[str, Any]:
    if number is None:
        return {"text": "", "value": "", "interval": "", "mark": ""}
    if number.value is None:
        return {"text": "–", "value": "", "interval": "", "mark": marks.get(number.reason or "", "")}
    decimals = column.decimals
    text = ("✓" if number.value >= 0.5 else "✗") if column.is_tick else f"{number.value:.{decimals}f}"
    known = number.low is not None and number.high is not None
    interval = f"[{number.low:.{decimals}f}, {number.high:.{decimals}f}]" if known else ""
    return {"text": text, "value": f"{number.value:.9g}", "interval": interval, "mark": ""}
