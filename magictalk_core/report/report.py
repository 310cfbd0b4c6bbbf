"""Writes `report.html`: one file that opens from disk or a web server and asks nothing of the network.

Style, plots and one script that sorts tables are inline; only the videos stay files beside it, named by relative paths.
A content security policy in the page forbids everything else. Equal inputs give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from magictalk_core.errors import PermanentError
from magictalk_core.evaluation.stand_ins import StandIn
from magictalk_core.report.model import Command, Funnel, Provenance, ReportInputs, VideoEntry, VideoNotMade
from magictalk_core.report.view import report_view
from magictalk_core.storage.atomic import write_text

__all__ = ["SUMMARY_COLUMNS", "inline_script", "page_environment", "render_report", "write_report"]

SUMMARY_COLUMNS = ("method", "metric", "unit", "clips", "n", "mean", "low", "high", "stand_ins")
_CURVE_COLUMNS = ("step", "metric", "value")


def _check_columns(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    missing = sorted(set(columns) - set(frame.columns))
    if missing:
        raise PermanentError(f"{what}: missing columns {missing}, found {list(frame.columns)}")


def _check_path(path: str, out_dir: Path) -> None:
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or PurePosixPath(path).is_absolute() or "\\" in path:
        raise PermanentError(f"video path `{path}`: expected a path relative to the report's folder, with `/`")
    # Normalised by name: `out_dir` itself need not exist yet, and then `..` leads nowhere.
    target = Path(os.path.normpath(out_dir / path))
    if not target.is_file():
        raise PermanentError(f"video {target} does not exist: materialize videos/comparison first")


def inline_script() -> dict[str, str]:
    """The one script of a page, and the hash by which its content policy allows it and no other."""
    text = resources.files("magictalk_core.report").joinpath("templates/sort.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {"script": text, "script_hash": f"sha256-{digest}"}


def page_environment() -> Environment:
    """The templates of pages: names and labels are escaped, SVG that `svg.inline_svg` made passes by `drawn`."""
    environment = Environment(
        loader=PackageLoader("magictalk_core.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["drawn"] = Markup
    return environment


def render_report(inputs: ReportInputs) -> str:
    """The page as text. Looks at no file but its own template; the opening table comes with `inputs`."""
    _check_columns(inputs.scores_summary, SUMMARY_COLUMNS, "scores_summary")
    _check_columns(inputs.loss_curves, _CURVE_COLUMNS, "loss_curves")
    return page_environment().get_template("report.html").render(report_view(inputs), **inline_script())


def write_report(
    out_dir: Path,
    *,
    funnel: Funnel,
    scores_summary: pd.DataFrame,
    videos: Sequence[VideoEntry],
    loss_curves: pd.DataFrame,
    provenance: Provenance,
    videos_not_made: Sequence[VideoNotMade] = (),
    stand_ins: Sequence[StandIn] = (),
    commands: Sequence[Command] = (),
    title: str = "MagicTalk report",
    main_method: str | None = "emodiff",
    method_notes: Mapping[str, str] | None = None,
    made_on: str | None = None,
    lineage: Mapping[str, Any] | None = None,
) -> Path:
    """Write `<out_dir>/report.html` and return its path.

    `scores_summary` is what `evaluation.table.summary` returns, `loss_curves` has the columns step, metric, value (as
    MLflow keeps them), `main_method` is the method that the opening numbers are about. Nothing is dated unless
    `made_on` is given. Raises `PermanentError` for a video that is not there or not relative to `out_dir`.
    """
    for entry in videos:
        for path in filter(None, (entry.path, entry.poster)):
            _check_path(path, out_dir)
    inputs = ReportInputs(
        funnel=funnel,
        scores_summary=scores_summary,
        videos=tuple(videos),
        videos_not_made=tuple(videos_not_made),
        loss_curves=loss_curves,
        provenance=provenance,
        stand_ins=tuple(stand_ins),
        commands=tuple(commands),
        title=title,
        main_method=main_method,
        method_notes=dict(method_notes or {}),
        made_on=made_on,
        lineage=lineage,
    )
    target = out_dir / "report.html"
    write_text(target, render_report(inputs))
    return target
