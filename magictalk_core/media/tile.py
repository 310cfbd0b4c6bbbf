"""Panels side by side, with captions and labels below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["CAPTION_HEIGHT", "Panel", "side_by_side", "write_text_line"]

CAPTION_HEIGHT = 26
_INK, _PAPER, _WARNING = (35, 35, 40), (245, 245, 246), (170, 30, 30)


def write_text_line(
    picture: NDArray[np.uint8], text: str, x: int, y: int, height: float, colour: tuple[int, int, int] = _INK
) -> int:
    """Draw one line with its baseline at (x, y) and capital letters `height` pixels high; returns its width."""
    scale = height / 22.0
    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    return int(width)


@dataclass(frozen=True, eq=False)
class Panel:
    """Frames with a caption, and a label in red at the right end of the caption line, where it covers no face."""

    caption: str
    frames: Iterable[NDArray[np.uint8]]
    label: str = ""


def side_by_side(panels: Sequence[Panel], size: int) -> Iterator[NDArray[np.uint8]]:
    """Frames of all panels next to each other, each scaled to `size` x `size`; ends with the shortest panel."""
    captions = np.full((CAPTION_HEIGHT, size * len(panels), 3), _PAPER, np.uint8)
    for i, panel in enumerate(panels):
        write_text_line(captions, panel.caption, i * size + 8, 18, 10)
        width = write_text_line(np.zeros((1, 1, 3), np.uint8), panel.label, 0, 0, 10)
        write_text_line(captions, panel.label, (i + 1) * size - width - 8, 18, 10, _WARNING)
    for frames in zip(*(panel.frames for panel in panels), strict=False):
        row = [
            f if f.shape[:2] == (size, size) else cv2.resize(f, (size, size), interpolation=cv2.INTER_AREA)
            for f in frames
        ]
        picture = np.vstack([np.hstack(row), captions])
        yield picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2]
