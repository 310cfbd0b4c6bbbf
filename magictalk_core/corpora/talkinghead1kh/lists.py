"""TalkingHead-1KH's lists of videos and of tubes, and the names of its files; reference/datasets.md 3.2 and 3.3."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from magictalk_core.corpora.findings import Problem
from magictalk_core.corpora.list_files import Row, absent_lists, choose_lists, read_rows

__all__ = ["LISTS", "LIST_NAMES", "TalkingHeadLists", "Tube", "chunk_name", "parse_clip_name", "read_talkinghead_lists"]

LISTS = ("train", "val", "small")
LIST_NAMES = tuple(f"{name}_video_{kind}.txt" for name in LISTS for kind in ("ids", "tubes"))

_ID = re.compile(r"[\w-]{11}", re.ASCII)
_CHUNK = re.compile(r"(.+)_(\d{4})", re.ASCII)
_CLIP_NAME = re.compile(r"(.+)" + "".join(rf"_{edge}(\d{{1,7}})" for edge in "SELTRB"), re.ASCII)
_NUMBER = re.compile(r"\d{1,7}", re.ASCII)

T = TypeVar("T", str, "Tube")


@dataclass(frozen=True)
class Tube:
    """A face in a minute chunk: native frames `first`..`last`, both included, and the window left, top (included),
    right, bottom (excluded) in pixels of a picture of `width` x `height` (0: not stated)."""

    video_id: str
    chunk: int
    height: int
    width: int
    first: int
    last: int
    left: int
    top: int
    right: int
    bottom: int

    @property
    def chunk_name(self) -> str:
        """The file name, without suffix, of the minute chunk."""
        return chunk_name(self.video_id, self.chunk)

    @property
    def clip_name(self) -> str:
        """The file name, without suffix, that the official script gives the cropped clip."""
        return f"{self.chunk_name}_S{self.first}_E{self.last}_L{self.left}_T{self.top}_R{self.right}_B{self.bottom}"

    @property
    def frames(self) -> int:
        """Length in native frames."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class TalkingHeadLists:
    """Ids and tubes by list (train, val, small), and everything that is odd about them."""

    ids: Mapping[str, tuple[str, ...]]
    tubes: Mapping[str, tuple[Tube, ...]]
    problems: tuple[Problem, ...]


def chunk_name(video_id: str, chunk: int) -> str:
    """`<id>_NNNN`, as the official script names the chunks of a video."""
    return f"{video_id}_{chunk:04d}"


def _split_chunk(name: str) -> tuple[str, int]:
    """Video id and chunk number; ids contain `_` themselves, so the split is at the last one."""
    match = _CHUNK.fullmatch(name)
    if match is None or not _ID.fullmatch(match[1]):
        raise ValueError(f"`{name}` is no chunk of a video")
    return match[1], int(match[2])


def parse_clip_name(stem: str) -> Tube | None:
    """The tube that the name of a cropped clip states (its picture size is unknown: 0), or None."""
    match = _CLIP_NAME.fullmatch(stem)
    if match is None:
        return None
    try:
        video_id, chunk = _split_chunk(match[1])
    except ValueError:
        return None
    return Tube(video_id, chunk, 0, 0, *(int(number) for number in match.groups()[1:]))


def _id(row: Row) -> str:
    if len(row.cells) != 1 or not _ID.fullmatch(row.cells[0]):
        raise ValueError("expected one video id of 11 characters")
    return row.cells[0]


def _tube(row: Row) -> Tube:
    if len(row.cells) != 9:
        raise ValueError(f"expected 9 fields, found {len(row.cells)}")
    video_id, chunk = _split_chunk(row.cells[0])
    if not all(_NUMBER.fullmatch(cell) for cell in row.cells[1:]):
        raise ValueError(f"expected whole numbers, found `{', '.join(row.cells[1:])}`")
    tube = Tube(video_id, chunk, *(int(cell) for cell in row.cells[1:]))
    if tube.last < tube.first or tube.right <= tube.left or tube.bottom <= tube.top:
        raise ValueError(f"the tube {tube.clip_name} is empty")
    if tube.right > tube.width or tube.bottom > tube.height:
        raise ValueError(f"the tube {tube.clip_name} leaves its picture of {tube.width}x{tube.height}")
    return tube


def _disagreements(ids: Mapping[str, Sequence[str]], tubes: Mapping[str, Sequence[Tube]]) -> list[Problem]:
    """Tubes of videos that no list of ids has, and videos of train that are in val too."""
    problems = []
    known = {video for listed in ids.values() for video in listed}
    for name in LISTS:
        for video in sorted({tube.video_id for tube in tubes[name]} - known):
            problems.append(Problem("tube_without_id", f"{name}: {video}", "has tubes, but is in no list of ids: kept"))
    for video in sorted(set(ids["val"]) & {*ids["train"], *ids["small"]}):
        problems.append(Problem("train_and_val", video, "is in the lists of train and val: taken as val"))
    return problems


def _read(root: Path, path: str, parse: Callable[[Row], T], commas: bool, problems: list[Problem]) -> tuple[T, ...]:
    """What `parse` makes of the rows of a list, each thing once."""
    rows, odd = read_rows(root, path, commas)
    problems += odd
    found: dict[T, str] = {}
    for row in rows:
        try:
            value = parse(row)
        except ValueError as error:
            problems.append(Problem("malformed", row.where, f"{error}: the row is left out"))
            continue
        if value in found:
            problems.append(Problem("second_row", row.where, f"the same as {found[value]}: left out"))
        found.setdefault(value, row.where)
    return tuple(found)


def read_talkinghead_lists(root: Path, paths: Iterable[str]) -> TalkingHeadLists:
    """Read the lists among `paths` (relative to `root`). What does not make sense is a problem, never an exception."""
    chosen, problems = choose_lists(paths, LIST_NAMES)
    problems += absent_lists(LIST_NAMES, chosen)
    ids: dict[str, tuple[str, ...]] = dict.fromkeys(LISTS, ())
    tubes: dict[str, tuple[Tube, ...]] = dict.fromkeys(LISTS, ())
    for name in LISTS:
        if path := chosen.get(f"{name}_video_ids.txt"):
            ids[name] = _read(root, path, _id, False, problems)
        if path := chosen.get(f"{name}_video_tubes.txt"):
            tubes[name] = _read(root, path, _tube, True, problems)
    problems += _disagreements(ids, tubes)
    return TalkingHeadLists(ids, tubes, tuple(problems))
