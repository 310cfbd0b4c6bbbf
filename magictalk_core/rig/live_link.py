"""Live Link Face CSV, the file that Epic's phone app records and Unreal, Blender and Maya read.

One header and one row per frame: `Timecode` (HH:MM:SS:FF.mmm), `BlendShapeCount` (61), the 52 ARKit shapes in Pascal
case in the app's order, then yaw, pitch and roll of the head and of both eyes, in radians. The head's signs are those
of `faces.arkit`. What the format cannot say is written as follows and documented in docs/blendshapes.md: unknown
channels are 0; the eyes' own angles are 0, since their turn is in the eyeLook shapes; a frame without a face has
BlendShapeCount 0, as the app writes it, and repeats the last values, because many readers ignore the count; the
translation of the head is lost.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.rig.curves import Curves
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES

__all__ = ["LIVE_LINK_HEADER", "is_live_link", "read_live_link", "write_live_link"]


def _app_order() -> tuple[str, ...]:
    """ARKit names as the app orders them: right before left for the jaw's and the mouth's shift."""
    names = list(ARKIT_NAMES)
    for left, right in (("jawLeft", "jawRight"), ("mouthLeft", "mouthRight")):
        i, j = names.index(left), names.index(right)
        names[i], names[j] = names[j], names[i]
    return tuple(names)


_SHAPES = _app_order()
_HEAD = ("HeadYaw", "HeadPitch", "HeadRoll")
_HEAD_POSE = ("head_yaw_deg", "head_pitch_deg", "head_roll_deg")
_EYES = tuple(f"{side}Eye{turn}" for side in ("Left", "Right") for turn in ("Yaw", "Pitch", "Roll"))
LIVE_LINK_HEADER: tuple[str, ...] = (
    "Timecode",
    "BlendShapeCount",
    *(name[0].upper() + name[1:] for name in _SHAPES),
    *_HEAD,
    *_EYES,
)
_VALUES = len(LIVE_LINK_HEADER) - 2
_TIMECODE = re.compile(r"^(\d+):(\d+):(\d+)[:;](\d+(?:\.\d+)?)$")
_RATES = (24.0, 25.0, 30.0, 60.0, 120.0)


def _timecode(frame: int, fps: int) -> str:
    seconds, left = divmod(frame, fps)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{left:02d}.000"


def write_live_link(curves: Curves, path: Path) -> None:
    """Write one clip; its rate must be a whole number of frames per second."""
    fps = round(curves.fps)
    if abs(fps - curves.fps) > 1e-9:
        raise UserError(f"{path}: a timecode counts whole frames per second, not {curves.fps}")
    shapes = np.nan_to_num(curves.coefficients[:, [ARKIT_NAMES.index(n) for n in _SHAPES]])
    turns = np.nan_to_num(curves.pose[:, [POSE_NAMES.index(n) for n in _HEAD_POSE]])
    held: list[str] = ["0.0"] * _VALUES
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LIVE_LINK_HEADER)
        for frame in range(len(curves)):
            if curves.seen[frame]:
                angles = [repr(math.radians(float(turn))) for turn in turns[frame]]
                held = [*(str(value) for value in shapes[frame]), *angles, *(["0.0"] * len(_EYES))]
            writer.writerow([_timecode(frame, fps), str(_VALUES if curves.seen[frame] else 0), *held])


def is_live_link(path: Path) -> bool:
    """Whether the first line of a CSV file is a Live Link Face header."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline().strip().lower().startswith("timecode,blendshapecount,")


def read_live_link(path: Path, fps: float | None = None) -> Curves:
    """Read a recording of the app or of `write_live_link`.

    `fps` is the rate of its timecode, which the file does not say; without it the least usual rate that all frame
    numbers fit. Frames that the recording dropped are rows without a face. Columns are mapped by name, whatever their
    order. Raises `UserError` naming the row that is wrong.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows or [name.strip().lower() for name in rows[0][:2]] != ["timecode", "blendshapecount"]:
        raise UserError(f"{path}: not a Live Link Face file: its header does not begin with Timecode,BlendShapeCount")
    header = [name.strip().lower() for name in rows[0]]
    missing = [name for name in (*_SHAPES[:-1], *_HEAD) if name.lower() not in header]
    if missing:
        raise UserError(f"{path}: the header lacks {', '.join(missing[:5])}")
    stamps = [_parse_timecode(path, line, row[0]) for line, row in enumerate(rows[1:], start=2)]
    rate = fps or _rate_of([frame for _, frame in stamps])
    times = [seconds + frame / rate for seconds, frame in stamps]
    at = [round((time - times[0]) * rate) for time in times]
    if any(later <= earlier for earlier, later in pairwise(at)):
        raise UserError(f"{path}: timecodes do not advance at {rate:g} frames per second: give the rate with --fps")
    return _fill(path, header, rows[1:], at, rate)


def _parse_timecode(path: Path, line: int, text: str) -> tuple[float, float]:
    """(whole seconds, frame within the second)."""
    match = _TIMECODE.match(text.strip())
    if match is None:
        raise UserError(f"{path}, line {line}: expected a timecode HH:MM:SS:FF.mmm, found {text!r}")
    hours, minutes, seconds, frame = match.groups()
    return int(hours) * 3600.0 + int(minutes) * 60.0 + int(seconds), float(frame)


def _rate_of(frames: Sequence[float]) -> float:
    return next((rate for rate in _RATES if max(frames, default=0.0) < rate), _RATES[-1])


def _fill(path: Path, header: list[str], rows: list[list[str]], at: list[int], rate: float) -> Curves:
    n = at[-1] + 1 if at else 0
    coefficients = np.full((n, len(ARKIT_NAMES)), np.nan, np.float32)
    pose = np.full((n, len(POSE_NAMES)), np.nan, np.float32)
    seen = np.zeros(n, bool)
    shapes = [(i, header.index(name.lower())) for i, name in enumerate(ARKIT_NAMES) if name.lower() in header]
    turns = [(POSE_NAMES.index(p), header.index(h.lower())) for p, h in zip(_HEAD_POSE, _HEAD, strict=True)]
    for line, (frame, row) in enumerate(zip(at, rows, strict=True), start=2):
        if len(row) < len(header) or row[1].strip() == "0":
            continue
        try:
            coefficients[frame] = _numbers(row, shapes, coefficients[frame])
            pose[frame] = np.degrees(_numbers(row, turns, pose[frame].astype(np.float64)))
        except ValueError as error:
            raise UserError(f"{path}, line {line}: {error}") from error
        seen[frame] = True
    return Curves(path.stem, coefficients, pose, seen, rate, "live-link-face/1")


def _numbers(row: list[str], places: list[tuple[int, int]], blank: NDArray[np.floating]) -> NDArray[np.floating]:
    values = blank.copy()
    for target, source in places:
        values[target] = float(row[source])
    return values
