"""Reading Live Link Face recordings: of the app, of tools that export its format, and through spreadsheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.rig.curves import MAX_FRAMES, Curves, Findings, within_range
from magictalk_core.rig.frame_slots import Slots, StepBackError, find_slots, slots_at
from magictalk_core.rig.shape_names import match_shapes, missing_shapes, named_few
from magictalk_core.rig.text_table import TextTable, cell_number, read_text_table
from magictalk_core.rig.timecodes import StampError, Stamps, read_stamps
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES

__all__ = ["curves_of_live_link", "has_timecodes", "read_live_link"]

_HEAD = {"headyaw": "head_yaw_deg", "headpitch": "head_pitch_deg", "headroll": "head_roll_deg"}
_EYES = frozenset(f"{side}eye{turn}" for side in ("left", "right") for turn in ("yaw", "pitch", "roll"))
_STAMP, _COUNT = "timecode", "blendshapecount"
_OFTEN_ABSENT = "tongueOut"


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def has_timecodes(header: Sequence[str]) -> bool:
    """Whether the header of a text table is one of Live Link Face."""
    return _STAMP in map(_plain, header)


def read_live_link(path: Path, fps: float | None = None) -> Curves:
    """Read a recording of the app or of `write_live_link`.

    The rate follows from the spacing of the timecodes, `fps` says another. Every row is a frame, and frames that the
    recording dropped are frames without a face; so are rows that say so (`BlendShapeCount` 0) or are cut short. Columns
    are mapped by name, whatever their order. Raises `UserError` naming the line that is wrong.
    """
    return curves_of_live_link(path, read_text_table(path), fps)


def curves_of_live_link(path: Path, table: TextTable, fps: float | None) -> Curves:
    """`read_live_link` of a file that is already taken apart."""
    if not has_timecodes(table.header):
        raise UserError(f"{path}: not a Live Link Face file: its header has no Timecode")
    shapes, turns, remarks = _columns(path, table.header)
    if not table.rows:
        raise UserError(f"{path}: no rows: a header without any frame")
    stamps, slots = _slots(path, table, fps)
    seen, short = _seen(path, table)
    if short:
        remarks.append(f"{len(short)} rows are cut short, the first in line {short[0]}: frames without a face")
    if slots.at[-1] >= MAX_FRAMES:
        raise UserError(f"{path}: {slots.at[-1]} frames: more than {MAX_FRAMES}")
    if gaps := int(slots.at[-1]) + 1 - len(slots.at):
        remarks.append(f"{gaps} frames have no row: frames without a face")
    coefficients, pose = _values(path, table, seen, shapes, turns)
    try:
        coefficients, clipped = within_range(coefficients)
    except ValueError as error:
        farthest = np.nan_to_num(np.abs(coefficients)).max(axis=1).argmax()
        raise UserError(f"{path}, line {table.lines[farthest]}: {error}") from error
    rate = slots.rate if fps is not None else slots.rate * stamps.clock
    findings = Findings(f"{rate:.6g} frames per second, {slots.how}", clipped, (*stamps.remarks, *remarks))
    return _spread(Curves(path.stem, coefficients, pose, seen, rate, "live-link-face/1", findings), slots.at)


def _columns(path: Path, header: list[str]) -> tuple[dict[int, int], dict[int, int], list[str]]:
    """Columns of the shapes and of the head's turns, by their place in ARKIT_NAMES and POSE_NAMES; remarks."""
    plain = [_plain(name) for name in header]
    try:
        found = match_shapes(header)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    if not found:
        raise UserError(f"{path}: no ARKit shape among: {named_few(header)}")
    known = {_STAMP, _COUNT, *_HEAD, *_EYES}
    others = [name for i, name in enumerate(header) if i not in found.values() and plain[i] not in known and name]
    missing = missing_shapes(found)
    if others and set(missing) - {_OFTEN_ABSENT}:
        raise UserError(
            f"{path}: the header lacks {named_few(missing)}, and has {named_few(others)}, which no shape is called: "
            "correct the names, or take the column out"
        )
    turns = {POSE_NAMES.index(pose): plain.index(name) for name, pose in _HEAD.items() if name in plain}
    remarks = [] if len(turns) == len(_HEAD) else ["no turn of the head: the pose is unknown"]
    if others:
        remarks.append(f"columns left out: {named_few(others)}")
    return {ARKIT_NAMES.index(shape): column for shape, column in found.items()}, turns, remarks


def _slots(path: Path, table: TextTable, fps: float | None) -> tuple[Stamps, Slots]:
    column = [_plain(name) for name in table.header].index(_STAMP)
    try:
        stamps = read_stamps([row[column] if column < len(row) else "" for row in table.rows], fps)
        if fps is not None:
            return stamps, slots_at(stamps.times, stamps.quantum, fps)
        return stamps, find_slots(stamps.times, stamps.quantum)
    except StampError as error:
        raise UserError(f"{path}, line {table.lines[error.row]}: {error}") from error
    except StepBackError as error:
        line = table.lines[error.row]
        raise UserError(f"{path}, line {line}: {error}: with --fps every row is a frame of that rate") from error


def _seen(path: Path, table: TextTable) -> tuple[NDArray[np.bool_], list[int]]:
    """Which rows show a face, and the lines of rows that should but are cut short."""
    plain = [_plain(name) for name in table.header]
    column = plain.index(_COUNT) if _COUNT in plain else None
    seen, short = np.ones(len(table.rows), bool), []
    for i, (line, row) in enumerate(zip(table.lines, table.rows, strict=True)):
        try:
            count = cell_number(row[column]) if column is not None and column < len(row) else np.nan
        except ValueError as error:
            raise UserError(f"{path}, line {line}: {error} (BlendShapeCount)") from error
        if count == 0:
            seen[i] = False
        elif len(row) < len(table.header):
            seen[i] = False
            short.append(line)
    return seen, short


def _values(
    path: Path, table: TextTable, seen: NDArray[np.bool_], shapes: dict[int, int], turns: dict[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coefficients (rows, 52) and pose (rows, 6), degrees, NaN where unknown."""
    coefficients = np.full((len(seen), len(ARKIT_NAMES)), np.nan, np.float32)
    angles = np.full((len(seen), len(POSE_NAMES)), np.nan)
    for i in np.flatnonzero(seen):
        row = table.rows[i]
        for values, columns in ((coefficients, shapes), (angles, turns)):
            for place, column in columns.items():
                try:
                    values[i, place] = cell_number(row[column])
                except ValueError as error:
                    raise UserError(f"{path}, line {table.lines[i]}: {error} ({table.header[column]})") from error
    return coefficients, np.degrees(angles).astype(np.float32)


def _spread(rows: Curves, at: NDArray[np.int64]) -> Curves:
    """Curves of rows as curves of frames: row i is frame `at[i]`."""
    n = int(at[-1]) + 1
    coefficients = np.full((n, len(ARKIT_NAMES)), np.nan, np.float32)
    pose = np.full((n, len(POSE_NAMES)), np.nan, np.float32)
    seen = np.zeros(n, bool)
    coefficients[at], pose[at], seen[at] = rows.coefficients, rows.pose, rows.seen
    return Curves(rows.clip_id, coefficients, pose, seen, rows.fps, rows.origin, rows.findings)
