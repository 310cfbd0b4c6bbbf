"""Live Link Face CSV, the file that Epic's phone app records and Unreal, Blender and Maya read.

One header and one row per frame: `Timecode` (HH:MM:SS:FF.mmm), `BlendShapeCount` (61), the 52 ARKit shapes in Pascal
case in the app's order, then yaw, pitch and roll of the head and of both eyes, in radians. The head's signs are those
of `faces.arkit`. What the format cannot say is written as follows and documented in docs/blendshapes.md: unknown
channels are 0, single unknown values lie on the line between their neighbours; the eyes' own angles are 0, since their
turn is in the eyeLook shapes; a frame without a face has BlendShapeCount 0, as the app writes it, and repeats the last
values, because many readers ignore the count; the translation of the head is lost.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

from magictalk_core.errors import UserError
from magictalk_core.rig.curves import Curves, bridged
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.vocabulary.arkit import ARKIT_NAMES, POSE_NAMES

__all__ = ["EYE_ANGLES", "HEAD_POSE", "LIVE_LINK_HEADER", "write_live_link"]


def _app_order() -> tuple[str, ...]:
    """ARKit names as the app orders them: right before left for the jaw's and the mouth's shift."""
    names = list(ARKIT_NAMES)
    for left, right in (("jawLeft", "jawRight"), ("mouthLeft", "mouthRight")):
        i, j = names.index(left), names.index(right)
        names[i], names[j] = names[j], names[i]
    return tuple(names)


_SHAPES = _app_order()
_HEAD = ("HeadYaw", "HeadPitch", "HeadRoll")
HEAD_POSE = ("head_yaw_deg", "head_pitch_deg", "head_roll_deg")
"""The head's turn in the app's order."""
_EYES = tuple(f"{side}Eye{turn}" for side in ("Left", "Right") for turn in ("Yaw", "Pitch", "Roll"))
EYE_ANGLES = len(_EYES)
"""Values behind the head's turn: those of both eyes."""
LIVE_LINK_HEADER: tuple[str, ...] = (
    "Timecode",
    "BlendShapeCount",
    *(name[0].upper() + name[1:] for name in _SHAPES),
    *_HEAD,
    *_EYES,
)
_VALUES = len(LIVE_LINK_HEADER) - 2


def _timecode(frame: int, fps: int) -> str:
    seconds, left = divmod(frame, fps)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{left:02d}.000"


def write_live_link(curves: Curves, path: Path) -> None:
    """Write one clip; its rate must be a whole number of frames per second."""
    fps = round(curves.fps)
    if abs(fps - curves.fps) > 1e-9:
        raise UserError(f"{path}: a timecode counts whole frames per second, not {curves.fps}")
    every = np.arange(len(curves))
    shapes = bridged(curves.coefficients[:, [ARKIT_NAMES.index(n) for n in _SHAPES]], every)
    turns = bridged(curves.pose[:, [POSE_NAMES.index(n) for n in HEAD_POSE]], every)
    held: list[str] = ["0.0"] * _VALUES
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LIVE_LINK_HEADER)
        for frame in range(len(curves)):
            if curves.seen[frame]:
                angles = [repr(math.radians(float(turn))) for turn in turns[frame]]
                held = [*(str(value) for value in shapes[frame]), *angles, *(["0.0"] * len(_EYES))]
            writer.writerow([_timecode(frame, fps), str(_VALUES if curves.seen[frame] else 0), *held])
