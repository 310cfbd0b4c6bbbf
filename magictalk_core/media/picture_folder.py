"""A folder of numbered pictures as a clip: how many people hold their frames."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.media.container import MAX_SIDE_PX, MediaError, check_side
from magictalk_core.media.square import Squarer
from magictalk_core.media.timed import Timed
from magictalk_core.vocabulary.clips import Reason

__all__ = ["PictureFolder", "find_pictures", "names_pictures"]

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
_NUMBERED = re.compile(r"(.*?)(\d+)")
"""What stands before the last number of a stem, and the number."""
_LONGEST_S = 24 * 3600
"""Numbers that are further apart count something else than frames, such as milliseconds."""
_PATTERN = re.compile(r"([^%]*)%0?(\d*)d([^%]*)")


@dataclass(frozen=True)
class PictureFolder:
    """Pictures of one folder by number, shown at `fps`; `read` decodes one to RGB (h, w, 3).

    A number that is missing is a frame that was lost, shown as black: no face is found in it, and those after it keep
    their times.
    """

    folder: Path
    numbered: tuple[tuple[int, str], ...]
    fps: float
    read: Callable[[Path], NDArray[np.uint8]]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is unusual about the numbers, in words."""
        numbers = [number for number, _ in self.numbered]
        lost = numbers[-1] - numbers[0] + 1 - len(numbers)
        told = f"{lost} numbers between {numbers[0]} and {numbers[-1]} have no picture: frames without a face"
        return (told,) if lost else ()

    def frames(self) -> Iterator[Timed[Any]]:
        """The pictures as frames (PyAV), of the first one's size, and black ones for those that are missing. Raises
        `MediaError` for what is no picture."""
        squarer, names = Squarer(), dict(self.numbered)
        first, last = self.numbered[0][0], self.numbered[-1][0]
        opening = self._frame(names.pop(first), squarer)
        black = av.VideoFrame.from_ndarray(np.zeros((opening.height, opening.width, 3), np.uint8), format="rgb24")
        yield Timed.of(0.0, 1 / self.fps, opening)
        for number in range(first + 1, last + 1):
            time_s, name = (number - first) / self.fps, names.get(number)
            if name is None:
                yield Timed.of(time_s, 1 / self.fps, black)
            else:
                yield Timed(time_s, 1 / self.fps, partial(self._frame, name, squarer))

    def _frame(self, name: str, squarer: Squarer) -> Any:
        try:
            rgb = self.read(self.folder / name)
        except UserError as error:
            raise MediaError(Reason.UNREADABLE, f"`{name}`: {error}") from error
        check_side(rgb.shape[1], rgb.shape[0], MAX_SIDE_PX)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        return squarer.apply(frame, Fraction(1))


def names_pictures(path: Path) -> bool:
    """Whether `path` is a folder, or a pattern such as `frames/%05d.png`, and no file."""
    return path.is_dir() or (not path.exists() and _PATTERN.fullmatch(path.name) is not None)


def find_pictures(path: Path, fps: float, read: Callable[[Path], NDArray[np.uint8]]) -> PictureFolder:
    """The pictures of a folder whose names differ in their last number only, or those that fit a pattern.

    Nothing outside of the folder is opened: a link that leads out of it is refused. Raises `UserError`.
    """
    pattern = None if path.is_dir() else _PATTERN.fullmatch(path.name)
    folder = path if pattern is None else path.parent
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    series = _fitting(pattern, names) if pattern is not None else _only_series(folder, names)
    if not series:
        raise UserError(f"{path}: no numbered picture; expected names such as 00001.png, or a video file")
    _check(folder, series)
    if (series[-1][0] - series[0][0]) / fps > _LONGEST_S:
        least, most = series[0][1], series[-1][1]
        raise UserError(f"{folder}: from {least} to {most} is more than a day at {fps:g} a second: expected a count")
    return PictureFolder(folder, tuple(series), fps, read)


def _fitting(pattern: re.Match[str], names: Sequence[str]) -> list[tuple[int, str]]:
    before, width, after = pattern.groups()
    digits = f"\\d{{{width},}}" if width else "\\d+"
    wanted = re.compile(f"{re.escape(before)}({digits}){re.escape(after)}")
    found = ((wanted.fullmatch(name), name) for name in names)
    return sorted((int(match[1]), name) for match, name in found if match)


def _only_series(folder: Path, names: Sequence[str]) -> list[tuple[int, str]]:
    """The numbered pictures, where all of them belong together."""
    series: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for name in names:
        stem, suffix = Path(name).stem, Path(name).suffix
        match = _NUMBERED.fullmatch(stem)
        if suffix.lower() in _SUFFIXES and match:
            series[match[1], suffix].append((int(match[2]), name))
    if len(series) > 1:
        kinds = ", ".join(f"{before}%d{suffix} ({len(found)})" for (before, suffix), found in sorted(series.items()))
        raise UserError(f"{folder}: several series of pictures: {kinds}: give one of them as a pattern")
    return sorted(next(iter(series.values()), []))


def _check(folder: Path, series: Sequence[tuple[int, str]]) -> None:
    home = folder.resolve()
    seen: dict[int, str] = {}
    for number, name in series:
        if (folder / name).resolve().parent != home or not (folder / name).is_file():
            raise UserError(f"{folder / name}: leads out of the folder or is no file; expected pictures in it")
        if number in seen:
            raise UserError(f"{folder}: {seen[number]} and {name} have the same number")
        seen[number] = name
