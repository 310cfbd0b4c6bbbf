"""Motion curves in memory, between the `frames` table and the formats of animation tools."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from magictalk_core.errors import UserError
from magictalk_core.storage.schema import FRAMES
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["Curves", "curves_of_table", "resampled", "smoothed", "table_of_curves"]

"""Rate of the `frames` table."""

_ORDER = 2


@dataclass(frozen=True, eq=False)
class Curves:
    """One clip. `coefficients` (n, 52) in ARKIT_NAMES order, NaN where unknown; `pose` (n, 6) in POSE_NAMES order,
    degrees and centimetres, NaN where unknown; `seen` (n,) whether there was a face; `fps` frames per second; `origin`
    the tracker or tool that made them."""

    clip_id: str
    coefficients: NDArray[np.float32]
    pose: NDArray[np.float32]
    seen: NDArray[np.bool_]
    fps: float
    origin: str

    def __len__(self) -> int:
        return len(self.seen)


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
    """Linear interpolation to another rate; a frame is seen where the nearest one was."""
    if curves.fps == fps or not len(curves):
        return replace(curves, fps=fps)
    times = np.arange(len(curves)) / curves.fps
    wanted = np.arange(max(1, round(len(curves) * fps / curves.fps))) / fps
    nearest = np.minimum(np.round(wanted * curves.fps).astype(int), len(curves) - 1)
    seen = curves.seen[nearest]

    def at_wanted(values: NDArray[np.float32]) -> NDArray[np.float32]:
        columns = []
        for column in values.T:
            known = np.isfinite(column)
            if not known.any():
                columns.append(np.full(len(wanted), np.nan))
                continue
            columns.append(np.where(seen & known[nearest], np.interp(wanted, times[known], column[known]), np.nan))
        return np.column_stack(columns).astype(np.float32)

    return replace(curves, coefficients=at_wanted(curves.coefficients), pose=at_wanted(curves.pose), seen=seen, fps=fps)


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
