"""What a system left is looked at and delivered as the clip's video, or refused with a reason.

The file comes from foreign code: it is decoded in a child with limits. A video that shows the face alone stays byte for
byte; one with panels, with a late first frame, of pictures, or in another container is written anew at 25 frames per
second and a quality that no score sees.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from magictalk_core.evaluation.external.system import Panel
from magictalk_core.media.decode import read_frames
from magictalk_core.media.encode import write_video
from magictalk_core.storage.atomic import atomic_path
from magictalk_core.vocabulary.external import ExternalReason
from magictalk_core.vocabulary.rates import FRAME_RATE
from magictalk_core.work.isolation import Crash, map_isolated

__all__ = ["Delivered", "Refused", "Wanted", "deliver", "measure"]

TIMEOUT_S = 300.0
MEMORY_GB = 4.0
SHORTEST, LONGEST = 0.9, 1.2
"""Of the clip's frames: systems round the length of the sound their own way."""
_NEAR_LOSSLESS = 1
"""x264's 0 is a profile that browsers do not play; 1 differs by a level or two."""


@dataclass(frozen=True)
class Wanted:
    """What the video must be. `size`: (width, height) of the whole picture, None where any will do; `frames`: of the
    clip, at 25 per second."""

    frames: int
    size: tuple[int, int] | None
    panel: Panel | None = None
    first_frame: int = 0


@dataclass(frozen=True)
class Delivered:
    """A delivered video: what it shows, in pixels and frames at 25 per second."""

    width: int
    height: int
    frames: int


@dataclass(frozen=True)
class Refused:
    """Why a file is no video of the clip."""

    reason: ExternalReason
    detail: str


def deliver(sources: Sequence[Path], target: Path, wanted: Wanted, audio: Path | None) -> Delivered | Refused:
    """Write the video in `sources`, one file or the pictures of one, to `target` (.mp4), whole or not at all."""
    arguments = ([str(path) for path in sources], str(target), wanted, None if audio is None else str(audio))
    return _apart(_deliver, arguments, sources)


def measure(video: Path) -> Delivered | Refused:
    """What a delivered video shows."""
    return _apart(_measure, (str(video),), [video])


def _apart(
    function: Callable[..., dict[str, Any]], arguments: tuple[Any, ...], sources: Sequence[Path]
) -> Delivered | Refused:
    ((_, outcome),) = map_isolated(
        function, [arguments], workers=1, timeout_s=TIMEOUT_S, memory_gb=MEMORY_GB, preload=(__name__,)
    )
    if isinstance(outcome, Crash):
        return Refused(ExternalReason.UNREADABLE, f"{_names(sources)}: {outcome.detail}")
    if "reason" in outcome:
        return Refused(ExternalReason(outcome["reason"]), f"{_names(sources)}: {outcome['detail']}")
    return Delivered(outcome["width"], outcome["height"], outcome["frames"])


def _measure(video: str) -> dict[str, Any]:
    """In the child."""
    width, height, count = _measured([Path(video)])
    return {"width": width, "height": height, "frames": count}


def _names(sources: Sequence[Path]) -> str:
    return sources[0].name + (f" and {len(sources) - 1} more" if len(sources) > 1 else "")


def _deliver(sources: list[str], target: str, wanted: Wanted, audio: str | None) -> dict[str, Any]:
    """In the child: the measures, or `reason` and `detail`."""
    paths = [Path(source) for source in sources]
    width, height, count = _measured(paths)
    if wanted.size is not None and (width, height) != tuple(wanted.size):
        expected = f"{wanted.size[0]}x{wanted.size[1]}"
        return _refused(ExternalReason.WRONG_SIZE, f"expected {expected} pixels, found {width}x{height}")
    shown = count + wanted.first_frame
    if not SHORTEST * wanted.frames <= shown <= LONGEST * wanted.frames:
        return _refused(ExternalReason.WRONG_LENGTH, f"expected about {wanted.frames} frames, found {shown}")
    panel = wanted.panel or Panel(0, 0, width // 2 * 2, height // 2 * 2)
    is_plain = len(paths) == 1 and paths[0].suffix == ".mp4" and wanted.panel is None and not wanted.first_frame
    if is_plain and (panel.width, panel.height) == (width, height):
        with atomic_path(Path(target)) as temporary:
            shutil.copyfile(paths[0], temporary)
        return {"width": width, "height": height, "frames": count}
    frames = _held(_cut(_frames(paths), panel), wanted)
    sound = None if audio is None else Path(audio)
    written = write_video(Path(target), frames, FRAME_RATE, sound, crf=_NEAR_LOSSLESS)
    return {"width": panel.width, "height": panel.height, "frames": written}


def _refused(reason: ExternalReason, detail: str) -> dict[str, Any]:
    return {"reason": str(reason), "detail": detail}


def _frames(paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    """Every picture at 25 per second; raises what decoding raises."""
    if len(paths) == 1 and paths[0].suffix not in (".jpg", ".png"):
        yield from read_frames(paths[0])
        return
    for path in paths:
        with Image.open(path) as picture:
            yield np.asarray(picture.convert("RGB"))


def _measured(paths: Sequence[Path]) -> tuple[int, int, int]:
    """Width, height and number of the frames: all are decoded, since a header may promise more than there is."""
    width = height = count = 0
    for frame in _frames(paths):
        height, width = frame.shape[:2]
        count += 1
    return width, height, count


def _cut(frames: Iterator[NDArray[np.uint8]], panel: Panel) -> Iterator[NDArray[np.uint8]]:
    rows, columns = slice(panel.top, panel.top + panel.height), slice(panel.left, panel.left + panel.width)
    for frame in frames:
        yield frame[rows, columns]


def _held(frames: Iterator[NDArray[np.uint8]], wanted: Wanted) -> Iterator[NDArray[np.uint8]]:
    """The first frame as long as the system is late, then all; no more than the clip has."""
    shown = 0
    for index, frame in enumerate(frames):
        for _ in range(1 + wanted.first_frame if index == 0 else 1):
            if shown == wanted.frames:
                return
            shown += 1
            yield frame
