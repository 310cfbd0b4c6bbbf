"""Curves of tables: ours, and what other programs made of them.

Times decide: a row is the frame at which its `time_s` lies, or its `frame_index` where there is no time; frames
without a row are frames without a face. Columns are found by name, whatever their order and type; what has no column is
unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.rig.curves import MAX_FRAMES, Curves, Findings, within_range
from magictalk_core.rig.frame_slots import Slots, StepBackError, find_slots
from magictalk_core.rig.shape_names import match_shapes, named_few
from magictalk_core.rig.table_columns import Columns, truths
from magictalk_core.storage.schema import ARKIT
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES
from magictalk_core.vocabulary.rates import FRAME_RATE

__all__ = ["curves_of_columns"]

_CLIP, _TIME, _INDEX, _FACE, _TRACKER = "clip_id", "time_s", "frame_index", "face_found", "tracker"
_ORIGIN = "table/1"
_OF_AN_INDEX = frozenset({"", "index", "level_0", "__index_level_0__", "unnamed: 0"})
"""Columns in which spreadsheets and pandas number the rows, in lower case."""
_ON_A_FRAME = 0.2
"""Share of a frame by which times may miss it."""
_ROUNDING_S = 1e-3
"""Of times that are not those of our frames."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """A table with every column where it belongs; `places` (rows,) are seconds, or frames where `timed` is false."""

    places: NDArray[np.float64]
    timed: bool
    coefficients: NDArray[np.float32]
    pose: NDArray[np.float32]
    seen: NDArray[np.bool_]
    trackers: Sequence[str]
    remarks: tuple[str, ...]


def curves_of_columns(columns: Columns, fps: float | None) -> list[Curves]:
    """Every clip of a table, in the order in which they appear; a table without `clip_id` is one clip.

    `fps`: rate of `frame_index`, or of the rows where there is neither time nor index. Raises `UserError` for a table
    without rows or without shapes, and for two rows of the same frame.
    """
    names = [name for name in columns.names if name]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{columns.path}: several columns named {named_few(twice)}")
    if not columns.rows:
        raise UserError(f"{columns.path}: no rows")
    rows = _rows(columns, names, fps)
    stem = columns.path.stem
    ids = [text or stem for text in columns.texts(_CLIP)] if _CLIP in names else [stem] * columns.rows
    members: dict[str, list[int]] = {}
    for i, clip_id in enumerate(ids):
        members.setdefault(clip_id, []).append(i)
    return [_clip(columns, clip_id, rows, np.array(at), fps) for clip_id, at in members.items()]


def _rows(columns: Columns, names: Sequence[str], fps: float | None) -> _Rows:
    try:
        shapes = {shape: names[i] for shape, i in match_shapes(names).items()}
        if not shapes:
            raise ValueError(f"no ARKit shape among: {named_few(names)}")
        coefficients = _matrix(columns, shapes, ARKIT_NAMES)
    except ValueError as error:
        raise UserError(f"{columns.path}: {error}") from error
    pose = _matrix(columns, {name: name for name in POSE_NAMES if name in names}, POSE_NAMES)
    seen = truths(columns, _FACE) if _FACE in names else np.asarray(np.isfinite(coefficients).any(axis=1))
    trackers = columns.texts(_TRACKER) if _TRACKER in names else [""] * columns.rows
    place = next((name for name in (_TIME, _INDEX) if name in names), None)
    if place is None and fps is None:
        raise UserError(f"{columns.path}: neither time_s nor frame_index: give the rate of its rows with --fps")
    places = np.arange(columns.rows, dtype=np.float64) if place is None else columns.numbers(place)
    remarks = _remarks(names, set(shapes.values()))
    return _Rows(places, place == _TIME, coefficients, pose, seen, trackers, remarks)


def _matrix(columns: Columns, source: Mapping[str, str], order: Sequence[str]) -> NDArray[np.float32]:
    """(rows, len(order)) values of the columns `source[name]`, NaN where a name has none."""
    values = np.full((columns.rows, len(order)), np.nan, np.float32)
    for i, name in enumerate(order):
        if name in source:
            values[:, i] = columns.numbers(source[name])
    return values


def _remarks(names: Sequence[str], shapes: set[str]) -> tuple[str, ...]:
    """What is missing besides shapes, and what was not read."""
    missing = [name for name in (_CLIP, _FACE, _TRACKER, *POSE_NAMES) if name not in names]
    others = [n for n in names if n not in shapes and n not in ARKIT.names and n.lower() not in _OF_AN_INDEX]
    found = [f"no column {named_few(missing)}"] if missing else []
    return (*found, f"columns left out: {named_few(others)}") if others else tuple(found)


def _clip(columns: Columns, clip_id: str, rows: _Rows, members: NDArray[np.intp], fps: float | None) -> Curves:
    where = f"{columns.path}: clip {clip_id}"
    members = members[np.argsort(rows.places[members], kind="stable")]
    slots = _slots(where, rows.places[members], rows.timed, fps)
    same = np.flatnonzero(np.diff(slots.at) == 0)
    if len(same):
        raise UserError(f"{where}: two rows of frame {slots.at[same[0]]}: keep one")
    seen = members[rows.seen[members]]
    at = slots.at[rows.seen[members]]
    n = int(slots.at[-1]) + 1
    coefficients = np.full((n, len(ARKIT_NAMES)), np.nan, np.float32)
    pose = np.full((n, len(POSE_NAMES)), np.nan, np.float32)
    found = np.zeros(n, bool)
    coefficients[at], pose[at], found[at] = rows.coefficients[seen], rows.pose[seen], True
    try:
        coefficients, clipped = within_range(coefficients)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
    remarks = list(rows.remarks)
    if gaps := n - len(members):
        remarks.append(f"{gaps} frames have no row: frames without a face")
    findings = Findings(f"{slots.rate:.6g} frames per second, {slots.how}", clipped, tuple(remarks))
    origin = rows.trackers[members[0]] or _ORIGIN
    return Curves(clip_id, coefficients, pose, found, slots.rate, origin, findings)


def _slots(where: str, places: NDArray[np.float64], timed: bool, fps: float | None) -> Slots:
    """The frame of every row; `places` ascend."""
    if not np.isfinite(places).all() or places[0] < 0:
        raise UserError(f"{where}: a row without a {'time' if timed else 'frame'} from 0 on")
    if not timed:
        if (places % 1).any():
            raise UserError(f"{where}: {_INDEX} is not whole")
        slots = Slots(places.astype(np.int64), fps or FRAME_RATE, "of the frames' numbers")
    elif np.abs(places * FRAME_RATE - np.round(places * FRAME_RATE)).max() <= _ON_A_FRAME:
        slots = Slots(np.round(places * FRAME_RATE).astype(np.int64), FRAME_RATE, "of the frames' times")
    else:
        try:
            found = find_slots(places, _ROUNDING_S)
        except StepBackError as error:
            raise UserError(f"{where}: the times do not advance") from error
        slots = Slots(found.at + round(float(places[0]) * found.rate), found.rate, "from the spacing of the times")
    if slots.at[-1] >= MAX_FRAMES:
        raise UserError(f"{where}: frame {slots.at[-1]}: more than {MAX_FRAMES}")
    return slots
