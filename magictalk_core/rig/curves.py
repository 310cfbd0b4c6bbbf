"""Motion curves in memory, between the `frames` table and the formats of animation tools."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.signal import savgol_filter

from magictalk_core.errors import UserError
from magictalk_core.storage.schema import FRAMES
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = [
    "MAX_FRAMES", "Curves", "Findings", "bridged", "curves_of_table", "resampled", "smoothed", "table_of_curves",
    "within_range",
]  # fmt: skip

MAX_FRAMES = 1_000_000
"""Of one clip: eleven hours at 25 frames per second, 230 MB."""

_ORDER = 2
_CUBIC = 3
_BRIDGED = 3
"""Frames from one known value to the next within one spline."""
_LARGEST = 5.0
"""Beyond it numbers are no coefficients that run over, but on another scale."""
_CLIPPED = 1e-6
"""Values beyond the range by less are rounding."""


@dataclass(frozen=True)
class Findings:
    """What a reader found out: the rate and how it is known, how many values were clipped to 0 and 1, remarks."""

    rate: str = ""
    clipped: int = 0
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Curves:
    """One clip. `coefficients` (n, 52) in ARKIT_NAMES order, NaN where unknown; `pose` (n, 6) in POSE_NAMES order,
    degrees and centimetres, NaN where unknown; `seen` (n,) whether there was a face; `fps` frames per second; `origin`
    the tracker or tool that made them; `findings` what was found out when they were read."""

    clip_id: str
    coefficients: NDArray[np.float32]
    pose: NDArray[np.float32]
    seen: NDArray[np.bool_]
    fps: float
    origin: str
    findings: Findings = field(default=Findings())

    def __len__(self) -> int:
        return len(self.seen)


def within_range(coefficients: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """`coefficients` of any shape within 0 and 1, NaN as it is, and how many were not.

    Raises `ValueError` for values on another scale, like per cent.
    """
    known = coefficients[~np.isnan(coefficients)]
    largest = float(known[np.abs(known).argmax()]) if known.size else 0.0
    if abs(largest) > _LARGEST:
        about = float(f"{largest:.2g}")
        raise ValueError(f"values up to {about:g}: expected 0 to 1")
    clipped = int(((known < -_CLIPPED) | (known > 1 + _CLIPPED)).sum())
    return np.clip(coefficients, 0.0, 1.0), clipped


def bridged(values: NDArray[np.float32], at: NDArray[np.intp]) -> NDArray[np.float32]:
    """`values` (n, c) of the frames `at` with unknown ones on the line between their neighbours; a column without any
    value is 0. For formats that cannot leave a value out."""
    filled = np.zeros_like(values)
    for i, column in enumerate(values.T):
        known = np.isfinite(column)
        if known.any():
            filled[:, i] = np.interp(at, at[known], column[known])
    return filled


def _columns(table: pa.Table, names: tuple[str, ...]) -> NDArray[np.float32]:
    columns = [table.column(n).to_numpy(zero_copy_only=False).astype(np.float32) for n in names]
    return np.column_stack(columns) if len(table) else np.zeros((0, len(names)), np.float32)


def curves_of_table(table: pa.Table) -> list[Curves]:
    """One `Curves` per clip of a FRAMES table, in its order."""
    ids = np.array(table.column("clip_id").to_pylist(), object)
    starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]])) if len(ids) else np.zeros(0, np.int64)
    found = []
    for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
        rows, clip_id = table.slice(start, end - start), str(ids[start])
        seen = rows.column("face_found").to_numpy(zero_copy_only=False)
        origin = rows.column("tracker")[0].as_py()
        found.append(Curves(clip_id, _columns(rows, ARKIT_NAMES), _columns(rows, POSE_NAMES), seen, FRAME_RATE, origin))
    return found


def table_of_curves(curves: Curves) -> pa.Table:
    """A FRAMES table; curves of another rate are brought to 25 frames per second first."""
    curves = resampled(curves, FRAME_RATE)
    n = len(curves)
    columns: dict[str, object] = {
        "clip_id": [curves.clip_id] * n,
        "frame_index": np.arange(n, dtype=np.int32),
        "time_s": np.arange(n) / FRAME_RATE,
        "face_found": curves.seen,
        "confidence": pa.nulls(n, pa.float32()),
        "tracker": [curves.origin] * n,
    }
    for names, values in ((ARKIT_NAMES, curves.coefficients), (POSE_NAMES, curves.pose)):
        for i, name in enumerate(names):
            column = values[:, i].astype(np.float32)
            columns[name] = pa.array(column, mask=~np.isfinite(column))
    return pa.table({name: columns[name] for name in FRAMES.names}, schema=FRAMES.schema())


def resampled(curves: Curves, fps: float) -> Curves:
    """Curves at another rate, by cubic splines; a frame is seen where the nearest one was.

    Lines between frames would take 0.008 off the peaks of a jaw that opens twice a second, recorded at 30 frames per
    second; splines take 0.0002.
    """
    if curves.fps == fps or not len(curves):
        return replace(curves, fps=fps)
    frames = max(1, round(len(curves) * fps / curves.fps))
    wanted = np.arange(frames, dtype=np.float64) * (curves.fps / fps)
    nearest = np.minimum(np.round(wanted).astype(int), len(curves) - 1)
    coefficients, pose = (
        _between(np.where(curves.seen[:, None], values, np.float32(np.nan)), wanted, nearest)
        for values in (curves.coefficients, curves.pose)
    )
    coefficients = np.clip(coefficients, 0.0, 1.0)
    return replace(curves, coefficients=coefficients, pose=pose, seen=curves.seen[nearest], fps=fps)


def _between(
    values: NDArray[np.float32], wanted: NDArray[np.float64], nearest: NDArray[np.intp]
) -> NDArray[np.float32]:
    """`values` (n, c) at the places `wanted` (m,), in frames; NaN where the `nearest` frame's is unknown."""
    result = np.full((len(wanted), values.shape[1]), np.nan, np.float32)
    masks, group_of = np.unique(np.isfinite(values), axis=1, return_inverse=True)
    for group, known in enumerate(masks.T):
        columns, frames = np.flatnonzero(group_of.ravel() == group), np.flatnonzero(known)
        at = np.flatnonzero(known[nearest])
        for column in columns if len(frames) else ():
            result[at, column] = np.interp(wanted[at], frames, values[frames, column])
        for run in np.split(frames, np.flatnonzero(np.diff(frames) > _BRIDGED) + 1):
            if len(run) > _CUBIC:
                inside = at[(wanted[at] >= run[0]) & (wanted[at] <= run[-1])]
                spline = make_interp_spline(run, values[np.ix_(run, columns)].astype(np.float64), k=_CUBIC)
                result[np.ix_(inside, columns)] = spline(wanted[inside])
    return result


def smoothed(curves: Curves, window: int) -> Curves:
    """Savitzky-Golay over `window` frames (odd, at least 5), order 2: no delay; a frame depends on (window - 1) / 2
    neighbours on each side. Gaps without a face are never bridged, runs shorter than the window stay as they are, and
    coefficients stay in [0, 1]. The origin records it."""
    if window < 5 or window % 2 == 0:
        raise UserError(f"--smooth {window}: expected an odd number of frames, at least 5")

    def smooth(values: NDArray[np.float32]) -> NDArray[np.float32]:
        result = values.copy()
        for column in result.T:
            edges = np.flatnonzero(np.diff(np.concatenate([[0], np.isfinite(column).astype(np.int8), [0]])))
            for start, end in zip(edges[::2], edges[1::2], strict=True):
                if end - start >= window:
                    column[start:end] = savgol_filter(column[start:end], window, _ORDER)
        return result

    origin = f"{curves.origin}+savgol-{window}-{_ORDER}"
    coefficients = np.clip(smooth(curves.coefficients), 0.0, 1.0)
    return replace(curves, coefficients=coefficients, pose=smooth(curves.pose), origin=origin)
