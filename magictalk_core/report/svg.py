"""Matplotlib figures as inline SVG that follows the page: light or dark, its fonts, its width.

A figure is drawn in marker colours, one per role; in the SVG text each marker becomes a CSS variable of the page. Text
stays text. Ids get a prefix, because several plots share one page. The same figure gives the same bytes.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from magictalk_core.errors import PermanentError
from magictalk_core.storage.atomic import atomic_path

__all__ = ["PAGE", "PAPER", "Palette", "inline_svg", "quiet_axes", "save_figure"]


@dataclass(frozen=True)
class Palette:
    """Colours by role. `PAGE` holds markers for CSS variables, `PAPER` real colours for files of their own."""

    ink: str
    muted: str
    rule: str
    accent: str
    second: str
    soft: str


PAGE = Palette("#010101", "#020202", "#030303", "#040404", "#050505", "#060606")
PAPER = Palette("#1f1d1a", "#6a665e", "#dcd8cf", "#0b6e69", "#b8491b", "#d5e8e5")

_RC: Any = {"svg.fonttype": "none", "svg.hashsalt": "magictalk", "font.size": 10.0, "axes.linewidth": 0.8}
_ID = re.compile(r'\b(id="|href="#|url\(#)([A-Za-z_][\w.-]*)')
_SIZE = re.compile(r'(<svg[^>]*?) width="[^"]*"|(<svg[^>]*?) height="[^"]*"')


def quiet_axes(axes: Axes, palette: Palette, grid: bool = True) -> None:
    """Only what carries information: no box, thin horizontal grid, muted labels."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(palette.rule)
    axes.tick_params(colors=palette.muted, length=0, labelsize=9)
    if grid:
        axes.grid(axis="y", color=palette.rule, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    with mpl.rc_context(_RC):
        figure.patch.set_visible(False)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return buffer.getvalue()


def inline_svg(figure: Figure, prefix: str, label: str) -> str:
    """`figure`, drawn with `PAGE`, as an `<svg>` element for a page. `label` is read to those who cannot see it."""
    text = _svg(figure)
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _ID.sub(lambda m: f"{m.group(1)}{prefix}-{m.group(2)}", text)
    text = _SIZE.sub(lambda m: m.group(1) or m.group(2), text)
    for role, marker in vars(PAGE).items():
        text = text.replace(marker, f"var(--{role})")
    quoted = label.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg", f'<svg role="img" aria-label="{quoted}"', 1).strip()


def save_figure(figure: Figure, path: Path) -> None:
    """`figure`, drawn with `PAPER`, as a file of its own: `.svg` or `.png` (at 200 dpi)."""
    if path.suffix not in (".svg", ".png"):
        raise PermanentError(f"{path}: expected a name that ends in .svg or .png")
    if path.suffix == ".svg":
        with atomic_path(path) as temporary:
            temporary.write_text(_svg(figure), encoding="utf-8")
        return
    with atomic_path(path) as temporary, mpl.rc_context(_RC):
        figure.savefig(temporary, format="png", dpi=200, facecolor="white", metadata={"Software": None})
