"""Pictures in rows and columns with names, for stills and for videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.tile import Panel, side_by_side, write_text_line
from magictalk_core.vocabulary.label import SYNTHETIC_LABEL
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["StillRow", "panel_grid", "still_grid"]

Picture = NDArray[np.uint8]
_PAPER, _INK, _WARNING = (245, 245, 246), (35, 35, 40), (170, 30, 30)
_NAME_WIDTH, _LINE, _TEXT = 200, 28, 12
_GAP = 4


def panel_grid(rows: Sequence[Sequence[Panel]], size: int) -> Iterator[Picture]:
    """Frames of all panels, row above row, with a frame counter below; shorter rows are filled with ground. Ends with
    the shortest panel; sides are even."""
    width = max(len(row) for row in rows) * size // 2 * 2
    lines = [side_by_side(row, size) for row in rows]
    for number, pictures in enumerate(zip(*lines, strict=False)):
        padded = [_to_width(picture, width) for picture in pictures]
        counter = np.full((_LINE, width, 3), _PAPER, np.uint8)
        write_text_line(counter, f"frame {number}   {number / FRAME_RATE:.2f} s", 8, 19, 10, _INK)
        yield np.vstack([*padded, counter])


def _to_width(picture: Picture, width: int) -> Picture:
    missing = width - picture.shape[1]
    if not missing:
        return picture
    return np.hstack([picture, np.full((picture.shape[0], missing, 3), _PAPER, np.uint8)])


@dataclass(frozen=True, eq=False)
class StillRow:
    """A row of stills with its name; `is_synthetic`: whether the label stands below it."""

    name: str
    pictures: Sequence[Picture]
    is_synthetic: bool = True


def still_grid(title: str, heads: Sequence[str], rows: Sequence[StillRow], size: int) -> Picture:
    """One picture of all rows: names to the left, heads above the columns, the label wherever nothing was filmed."""
    columns = max(len(row.pictures) for row in rows)
    width = _NAME_WIDTH + columns * (size + _GAP)
    top = np.full((2 * _LINE, width, 3), _PAPER, np.uint8)
    write_text_line(top, title, 8, 19, _TEXT, _INK)
    for i, head in enumerate(heads):
        write_text_line(top, head, _NAME_WIDTH + i * (size + _GAP) + 4, _LINE + 19, 10, _INK)
    return np.vstack([top, *(_still_line(row, columns, size) for row in rows)])


def _still_line(row: StillRow, columns: int, size: int) -> Picture:
    line = np.full((size + _GAP, _NAME_WIDTH + columns * (size + _GAP), 3), _PAPER, np.uint8)
    for i, text in enumerate(_wrapped(row.name)):
        write_text_line(line, text, 8, 24 + 20 * i, 11, _INK)
    if row.is_synthetic:
        write_text_line(line, SYNTHETIC_LABEL, 8, size - 10, 10, _WARNING)
    for i, picture in enumerate(row.pictures):
        left = _NAME_WIDTH + i * (size + _GAP)
        line[:size, left : left + size] = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return line


def _wrapped(text: str, letters: int = 22) -> list[str]:
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if len(joined) > letters and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines
