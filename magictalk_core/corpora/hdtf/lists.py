"""HDTF's official lists, read unchanged: five files per subset, joined by name.

`<S>_video_url.txt` (name, URL), `<S>_annotion_time.txt` (name.mp4, intervals MM:SS-MM:SS), `<S>_resolution.txt`
(name.mp4, height), `<S>_crop_wh.txt` (name_index.mp4, x, w, y, h: in this order) and `<S>_crop_ratio.txt`
(name_index.mp4, zoom). Source: MRzzm/HDTF, HDTF_dataset/; reference/datasets.md 2.2-2.4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from magictalk_core.corpora.findings import Problem
from magictalk_core.corpora.list_files import Row, absent_lists, choose_lists, read_rows

__all__ = ["SUBSETS", "TABLES", "Crop", "HdtfLists", "HdtfVideo", "Interval", "read_lists"]

SUBSETS: tuple[str, ...] = ("RD", "WDA", "WRA")
TABLES: tuple[str, ...] = ("video_url", "annotion_time", "resolution", "crop_wh", "crop_ratio")

_NAME = re.compile(r"\w[\w.-]{0,99}")
_NUMBER = re.compile(r"\d{1,6}", re.ASCII)
_ID = re.compile(r"(?:[?&]v=|youtu\.be/|/embed/|/shorts/)([A-Za-z0-9_-]{11})(?![A-Za-z0-9_-])")
_CLOCK = r"(?:(\d{1,2}):)?(\d{1,3}):([0-5]\d)"
_INTERVAL = re.compile(f"{_CLOCK}-{_CLOCK}", re.ASCII)
_USUAL_HEIGHTS = (720, 1080)

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Crop:
    """A window of a picture of the listed height: left, top, width, height in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Interval:
    """One listed clip: seconds of the source video, the end exclusive. `index` counts the intervals of the row from 0,
    those without a crop included."""

    index: int
    start_s: float
    end_s: float
    crop: Crop | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class HdtfVideo:
    """One name of a subset. `height`: lines of the version that the crops were made on (0: listed as 0; None: not
    listed); `has_times`: it has a row of intervals."""

    subset: str
    name: str
    youtube_id: str | None
    height: int | None
    has_times: bool
    clips: tuple[Interval, ...]

    @property
    def key(self) -> str:
        """The name of the raw video in the reference script's layout."""
        return f"{self.subset}_{self.name}"


@dataclass(frozen=True)
class HdtfLists:
    """All videos by subset and name, and everything that is odd in the lists. `rows`: (subset, kind) -> usable rows."""

    videos: tuple[HdtfVideo, ...]
    problems: tuple[Problem, ...]
    rows: dict[tuple[str, str], int]


Table = dict[K, tuple[str, V]]
"""Key -> (file:line, value)."""


def read_lists(root: Path, paths: Iterable[str]) -> HdtfLists:
    """The lists among `paths` (posix, relative to `root`), wherever they lie below it.

    Rows that cannot be read, and rows without their partner in another file, become problems; nothing is raised.
    """
    files = [f"{subset}_{kind}.txt" for subset in SUBSETS for kind in TABLES]
    chosen, problems = choose_lists(paths, files)
    problems += absent_lists(files, chosen)
    videos: list[HdtfVideo] = []
    counts: dict[tuple[str, str], int] = {}
    for subset in SUBSETS:
        tables: dict[str, Table[Any, Any]] = {}
        for kind in TABLES:
            path = chosen.get(f"{subset}_{kind}.txt")
            rows, odd = read_rows(root, path) if path is not None else ([], [])
            problems += odd
            tables[kind] = _table(rows, _PARSERS[kind], problems)
            counts[subset, kind] = len(tables[kind])
        videos += _joined(subset, tables, problems)
    problems += _same_id(videos)
    return HdtfLists(tuple(videos), tuple(problems), counts)


def _table(
    rows: Iterable[Row], parse: Callable[[Row, list[Problem]], tuple[K, V]], problems: list[Problem]
) -> Table[K, V]:
    table: Table[K, V] = {}
    for row in rows:
        try:
            key, value = parse(row, problems)
        except ValueError as error:
            problems.append(Problem("malformed", row.where, f"left out: {error}"))
            continue
        if key in table:
            problems.append(Problem("second_row", row.where, f"{row.cells[0]} stands in {table[key][0]}: left out"))
        else:
            table[key] = row.where, value
    return table


def _name(cell: str) -> str:
    name = cell.removesuffix(".mp4")
    if not _NAME.fullmatch(name):
        raise ValueError(f"`{cell}` is no name of letters, digits, `.`, `_` and `-`")
    return name


def _clip_key(cell: str) -> tuple[str, int]:
    # Names may end in digits and hold `_`: only the last part is the index.
    name, _, index = cell.removesuffix(".mp4").rpartition("_")
    if not _NUMBER.fullmatch(index):
        raise ValueError(f"`{cell}` has no clip index after its last `_`")
    return _name(name), int(index)


def _cells(row: Row, expected: int, what: str) -> tuple[str, ...]:
    if len(row.cells) != expected:
        raise ValueError(f"expected {what}, found `{' '.join(row.cells)}`")
    return row.cells


def _url(row: Row, problems: list[Problem]) -> tuple[str, str]:
    name, url = _cells(row, 2, "a name and a URL")
    found = _ID.search(url)
    if found is None:
        raise ValueError(f"no YouTube id of 11 characters in {url}")
    if re.search(r"[?&#]t=", url):
        problems.append(Problem("t_parameter", row.where, f"{_name(name)}: the start time in {url} is ignored"))
    return _name(name), found[1]


def _height(row: Row, problems: list[Problem]) -> tuple[str, int]:
    name, height = _cells(row, 2, "a name and one height")
    if not _NUMBER.fullmatch(height):
        raise ValueError(f"`{height}` is no height in lines")
    if int(height) not in _USUAL_HEIGHTS:
        says = "unknown: crops are taken as pixels of the video as it is" if int(height) == 0 else f"{height} lines"
        problems.append(Problem("odd_height", row.where, f"{_name(name)}: {says}"))
    return _name(name), int(height)


def _crop(row: Row, problems: list[Problem]) -> tuple[tuple[str, int], Crop]:
    cells = _cells(row, 5, "a name and x, w, y, h")
    if not all(_NUMBER.fullmatch(cell) for cell in cells[1:]):
        raise ValueError(f"x, w, y, h `{' '.join(cells[1:])}` are no whole numbers")
    x, width, y, height = map(int, cells[1:])
    if width == 0 or height == 0:
        raise ValueError(f"an empty crop of {width}x{height}")
    if width != height:
        problems.append(Problem("not_square", row.where, f"{cells[0]}: crop of {width}x{height}"))
    return _clip_key(cells[0]), Crop(x, y, width, height)


def _ratio(row: Row, problems: list[Problem]) -> tuple[tuple[str, int], float]:
    name, ratio = _cells(row, 2, "a name and a zoom")
    if not re.fullmatch(r"\d{1,3}(\.\d{1,6})?", ratio, re.ASCII) or float(ratio) == 0:
        raise ValueError(f"`{ratio}` is no zoom")
    return _clip_key(name), float(ratio)


def _times(row: Row, problems: list[Problem]) -> tuple[str, list[Interval]]:
    name, intervals, before = _name(row.cells[0]), list[Interval](), 0.0
    for index, cell in enumerate(row.cells[1:]):
        found = _INTERVAL.fullmatch(cell)
        seconds = [sum(int(n or 0) * u for n, u in zip(c, (3600, 60, 1), strict=True)) for c in _clocks(found)]
        if found is None or seconds[1] <= seconds[0]:
            problems.append(
                Problem("bad_interval", row.where, f"{name}, interval {index}: `{cell}` is no MM:SS-MM:SS: left out")
            )
            continue
        if seconds[0] < before:
            problems.append(
                Problem("bad_interval", row.where, f"{name}, interval {index}: `{cell}` starts before the previous one")
            )
        before = seconds[0]
        intervals.append(Interval(index, float(seconds[0]), float(seconds[1])))
    return name, intervals


def _clocks(found: re.Match[str] | None) -> tuple[tuple[str | None, ...], ...]:
    return () if found is None else (found.groups()[:3], found.groups()[3:])


_PARSERS: dict[str, Callable[[Row, list[Problem]], tuple[Any, Any]]] = {
    "video_url": _url,
    "annotion_time": _times,
    "resolution": _height,
    "crop_wh": _crop,
    "crop_ratio": _ratio,
}


def _joined(subset: str, tables: dict[str, Table[Any, Any]], problems: list[Problem]) -> list[HdtfVideo]:
    """The videos of a subset by name, joined from its five tables."""
    urls, times, heights = (tables[kind] for kind in TABLES[:3])
    videos = []
    for name in sorted(urls.keys() | times.keys()):
        where, listed = times.get(name, (urls.get(name, ("", None))[0], []))
        if name not in times:
            problems.append(Problem("no_times", where, f"{subset} {name} has a URL, but no intervals"))
        if name not in urls:
            problems.append(Problem("no_url", where, f"{subset} {name} has intervals, but no URL"))
        if name not in heights:
            problems.append(Problem("no_height", where, f"{subset} {name} has no height"))
        height = heights.get(name, (where, None))[1]
        clips = tuple(_with_crop(name, clip, where, height, tables, problems) for clip in listed)
        videos.append(HdtfVideo(subset, name, urls.get(name, ("", None))[1], height, name in times, clips))
    timed = {(video.name, clip.index) for video in videos for clip in video.clips}
    for kind in ("crop_wh", "crop_ratio"):
        for (name, index), (where, _) in tables[kind].items():
            if (name, index) not in timed:
                problems.append(Problem("crop_without_times", where, f"{name}_{index} has no interval: left out"))
    return videos


def _with_crop(
    name: str,
    clip: Interval,
    where: str,
    height: int | None,
    tables: dict[str, Table[Any, Any]],
    problems: list[Problem],
) -> Interval:
    key = name, clip.index
    at, crop = tables["crop_wh"].get(key, (where, None))
    ratio = tables["crop_ratio"].get(key, (where, None))[1]
    if crop is None:
        problems.append(Problem("no_crop", where, f"{name}_{clip.index} has an interval, but no crop: not a clip"))
    elif ratio is None:
        problems.append(Problem("no_ratio", at, f"{name}_{clip.index} has a crop, but no zoom"))
    if crop is not None and height and crop.y + crop.height > height:
        says = f"lines {crop.y} to {crop.y + crop.height} of {height}: made for a larger picture; clamped into it"
        problems.append(Problem("crop_outside", at, f"{name}_{clip.index}: {says}"))
    return replace(clip, crop=crop, ratio=ratio)


def _same_id(videos: Iterable[HdtfVideo]) -> list[Problem]:
    names: dict[str, list[str]] = {}
    for video in videos:
        if video.youtube_id is not None:
            names.setdefault(video.youtube_id, []).append(video.key)
    return [
        Problem("same_id", youtube_id, f"one video under {len(keys)} names, {', '.join(keys)}: one speaker, one split")
        for youtube_id, keys in sorted(names.items())
        if len(keys) > 1
    ]
