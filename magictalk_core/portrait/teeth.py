"""Textures of the mouth's inside: two rows of teeth with their gums, and a tongue, drawn in centimetres."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from magictalk_core.portrait.palette import Palette

__all__ = ["LOWER_ROW", "UPPER_ROW", "ToothRow", "draw_row", "draw_tongue"]

_ABOVE_CM = 0.45
"""Gums drawn beyond the crowns."""
_FINER = 3
"""Drawn larger and averaged down."""


@dataclass(frozen=True)
class ToothRow:
    """One dental arch from the middle to the side: `widths` and `crowns` (heights) of the teeth in cm; on the arch
    x = `half_width` sin a, z = -`depth` (1 - cos a), with a up to `reach`."""

    widths: tuple[float, ...]
    crowns: tuple[float, ...]
    half_width: float
    depth: float
    reach: float = 1.3

    @property
    def height(self) -> float:
        """Of the texture, in cm: gums and the longest crown."""
        return _ABOVE_CM + max(self.crowns) + 0.04

    def arc(self, angles: NDArray[np.float64]) -> NDArray[np.float64]:
        """Lengths along the arch from its middle, in cm."""
        fine = np.linspace(0, self.reach, 400)
        steps = np.hypot(self.half_width * np.cos(fine), self.depth * np.sin(fine))
        lengths = np.concatenate([[0.0], np.cumsum((steps[1:] + steps[:-1]) / 2 * np.diff(fine))])
        return np.asarray(np.sign(angles) * np.interp(np.abs(angles), fine, lengths))


# Average crowns of adults, from the central incisors to the first molars.
UPPER_ROW = ToothRow((0.84, 0.65, 0.75, 0.69, 0.66, 1.0), (1.02, 0.9, 1.0, 0.84, 0.78, 0.74), 2.25, 2.7)
LOWER_ROW = ToothRow((0.53, 0.58, 0.68, 0.7, 0.71, 1.1), (0.86, 0.88, 0.98, 0.84, 0.78, 0.74), 2.05, 2.5)


def draw_row(row: ToothRow, palette: Palette, pixels_per_cm: float) -> NDArray[np.uint8]:
    """(h, w, 4): gums at the top, cutting edges at the bottom; the whole arch from right to left."""
    length = float(row.arc(np.array([row.reach]))[0])
    fine = pixels_per_cm * _FINER
    width, height = round(2 * length * fine), round(row.height * fine)
    s = (np.arange(width) + 0.5) / fine - length
    y = (np.arange(height) + 0.5)[:, None] / fine - _ABOVE_CM
    ends = np.concatenate([[0.0], np.cumsum(row.widths)])
    which = np.clip(np.searchsorted(ends, np.abs(s), side="right") - 1, 0, len(row.widths) - 1)
    half = np.array(row.widths)[which] / 2
    x = (np.abs(s) - (ends[which] + half)) / half
    crown = np.array(row.crowns)[which]
    gum_line = 0.16 * x**2 * crown - 0.02
    edge = crown * (1 - 0.05 * x**4 - np.where(which == 2, 0.07 * np.abs(x), 0.0))
    tooth = (y > gum_line) & (y < edge) & (np.abs(x) < 0.985)
    # Round from side to side, a little darker at the gum, glassy at the edge.
    depth = np.clip(y / np.maximum(crown, 0.1), 0, 1)
    light = (1 - 0.22 * np.abs(x) ** 3) * (0.86 + 0.14 * np.sin(np.pi * np.clip(depth, 0.05, 0.95)))
    light = light * (1 - 0.1 * np.clip((depth - 0.86) / 0.14, 0, 1))
    gap = (y > gum_line) & (y < edge - 0.05) & ~tooth
    colour = np.where(tooth[..., None], palette.teeth * light[..., None], palette.gums * 0.72)
    colour = np.where(gap[..., None], palette.teeth * 0.42, colour)
    near = np.exp(-(((y - gum_line) / 0.05) ** 2))[..., None] * ~gap[..., None]
    colour = colour * (1 - 0.18 * near)
    alpha = (tooth | gap | (y <= gum_line)).astype(np.float32) * 255
    drawn = np.dstack([np.clip(colour, 0, 255), alpha]).astype(np.float32)
    return _averaged(drawn, width // _FINER, height // _FINER)


def _averaged(drawn: NDArray[np.float32], width: int, height: int) -> NDArray[np.uint8]:
    """Smaller, colours weighted by their opacity."""
    weight = drawn[..., 3:] / 255
    mixed = cv2.resize(np.dstack([drawn[..., :3] * weight, weight]), (width, height), interpolation=cv2.INTER_AREA)
    opaque = np.maximum(mixed[..., 3:], 1e-3)
    return np.dstack([mixed[..., :3] / opaque, mixed[..., 3:] * 255]).round().clip(0, 255).astype(np.uint8)


def draw_tongue(palette: Palette, pixels_per_cm: float) -> NDArray[np.uint8]:
    """(h, w, 4): the back at the top, the tip at the bottom, a groove along the middle."""
    width, height = round(3.0 * pixels_per_cm), round(1.6 * pixels_per_cm)
    x = np.linspace(-1, 1, width)[None]
    y = np.linspace(0, 1, height)[:, None]
    light = (0.32 + 0.62 * y**0.8) * (1 - 0.35 * x**2) * (1 - 0.08 * np.exp(-((x / 0.12) ** 2)) * y)
    edge = 1 - np.abs(x) ** 2.6 * (0.35 + 0.65 * y)
    alpha = np.clip(edge / 0.12, 0, 1) * np.clip((1 - y) / 0.05, 0, 1) * 255
    return np.dstack([palette.tongue * light[..., None], alpha]).clip(0, 255).astype(np.uint8)
