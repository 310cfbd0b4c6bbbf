"""High dynamic range (HLG, PQ) becomes the range and colours of ordinary video, by one precomputed table.

Both curves are undone to light, where 1.0 is the white of ordinary video: 203 cd/m2, or a signal of 75 % in HLG, as
ITU-R BT.2408 says. BT.2020's colours are brought to BT.709's. What is brighter than white is pressed together by the
Moebius operator as ffmpeg's `tonemap` has it (linear up to a knee, smooth above, same hue), and the curve of BT.709 is
applied.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from magictalk_core.media.frame_filter import FrameFilter, shape_of

__all__ = ["ToneMapper", "high_range", "to_standard_range"]

Light = NDArray[np.float64]

_PQ, _HLG = 16, 18
_BT709, _BT2020, _UNKNOWN = 1, 9, 2
_WHITE_NITS = 203.0
_PEAK_NITS = 1000.0
_HLG_WHITE = 0.265
"""Light of the scene at a signal of 75 %, of 1 at the brightest."""
_KNEE = 0.8
_GRID = 33

_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)  # ITU-R BT.2087


def _hlg_light(signal: Light) -> Light:
    """ITU-R BT.2100's inverse curve, as light of the scene relative to white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    light = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(light / _HLG_WHITE, np.float64)


def _pq_light(signal: Light) -> Light:
    """SMPTE ST 2084's inverse curve, as light of the screen relative to white."""
    root = signal ** (1 / 78.84375)
    nits = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    return np.asarray(nits / _WHITE_NITS, np.float64)


_LIGHT: dict[int, tuple[str, Callable[[Light], Light], float]] = {
    _HLG: ("HLG", _hlg_light, 1.0 / _HLG_WHITE),
    _PQ: ("PQ", _pq_light, _PEAK_NITS / _WHITE_NITS),
}
"""By the number of the curve in ITU-T H.273: name, inverse, and brightest light relative to white."""


def high_range(curve: int) -> str | None:
    """The name of a curve of high range by its number in ITU-T H.273, or None for any other."""
    return _LIGHT[curve][0] if curve in _LIGHT else None


def to_standard_range(rgb: Light, curve: int, primaries: int = _BT2020) -> Light:
    """BT.709 signal in [0, 1] of a signal (..., 3) in [0, 1] of high range."""
    _, inverse, peak = _LIGHT[curve]
    light = inverse(rgb)
    if primaries != _BT709:
        light = np.maximum(light @ _TO_BT709.T, 0.0)
    brightest = np.maximum(light.max(axis=-1, keepdims=True), 1e-6)
    light = light * (_moebius(brightest, peak) / brightest)
    signal = np.where(light < 0.018, 4.5 * light, 1.099 * np.maximum(light, 0.018) ** 0.45 - 0.099)
    return np.asarray(np.clip(signal, 0.0, 1.0), np.float64)


def _moebius(light: Light, peak: float) -> Light:
    """Linear up to the knee, then smoothly to 1 at `peak`."""
    j = _KNEE
    a = -(j**2) * (peak - 1) / (j**2 - 2 * j + peak)
    b = (j**2 - 2 * j * peak + peak) / (peak - 1)
    pressed = (b**2 + 2 * b * j + j**2) / (b - a) * (light + a) / (light + b)
    return np.asarray(np.where(light <= j, light, np.minimum(pressed, 1.0)), np.float64)


@cache
def _cube(curve: int, primaries: int) -> str:
    """The table as the text of a .cube file, red fastest."""
    steps = np.linspace(0.0, 1.0, _GRID)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    values = to_standard_range(np.stack([red, green, blue], axis=-1).reshape(-1, 3), curve, primaries)
    return f"LUT_3D_SIZE {_GRID}\n" + "\n".join(f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in values) + "\n"


class ToneMapper:
    """Frames of high range become yuv420p, BT.709, limited range; others stay what they are."""

    def __init__(self) -> None:
        self._key: Any = None
        self._filter: FrameFilter | None = None

    def apply(self, frame: Any) -> Any:
        if high_range(frame.color_trc) is None:
            return frame
        key = (shape_of(frame), frame.color_trc, frame.color_primaries, frame.colorspace)
        if self._filter is None or key != self._key:
            self._key, self._filter = key, _mapping(frame)
        return self._filter.one(frame)


def _mapping(frame: Any) -> FrameFilter:
    matrix = {"in_color_matrix": "bt2020"} if frame.colorspace == _UNKNOWN else {}
    with tempfile.TemporaryDirectory(prefix="magictalk-") as folder:
        cube = Path(folder) / "range.cube"
        cube.write_text(_cube(frame.color_trc, frame.color_primaries), encoding="ascii")
        return FrameFilter(
            frame,
            [
                ("scale", {"flags": "bicubic+accurate_rnd", **matrix}),
                ("format", {"pix_fmts": "gbrp10le"}),
                ("lut3d", {"file": str(cube), "interp": "tetrahedral"}),
                ("scale", {"flags": "bicubic+accurate_rnd", "out_color_matrix": "bt709", "out_range": "tv"}),
                ("format", {"pix_fmts": "yuv420p"}),
                ("setparams", {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709", "range": "tv"}),
            ],
        )
