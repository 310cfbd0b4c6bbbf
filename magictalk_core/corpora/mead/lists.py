"""Public name lists of MEAD: all recorded clips (filby89/spectre) and EDTalk's train and test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from magictalk_core.corpora.findings import Problem
from magictalk_core.corpora.list_files import choose_lists, read_rows
from magictalk_core.vocabulary.emotions import EMOTIONS

__all__ = ["Cell", "MeadNames", "Recording", "actor_of", "parse_edtalk_name", "parse_name", "read_names"]

Cell = tuple[str, str, int]
"""Actor, emotion, level."""

Recording = tuple[str, str, int, str]
"""A cell and the clip number, three digits."""

NAME_LISTS = ("clip_names.txt", "list_full_mead_annotated.txt")
EDTALK_LISTS = ("train.json", "test.json")

_EMOTION = "|".join(EMOTIONS)
# The level stands before the emotion here, and after it in folders.
_NAME = re.compile(rf"([MW]\d{{3}})_level_([123])_({_EMOTION})_(\d{{3}})", re.ASCII)
_EDTALK_NAME = re.compile(rf"([MW]\d{{3}})#({_EMOTION})#level_([123])#(\d{{3}})", re.ASCII)
_ACTOR = re.compile(r"(?<![A-Za-z0-9])[MW]\d{3}(?![A-Za-z0-9])", re.ASCII)


@dataclass(frozen=True)
class MeadNames:
    """Clip numbers of the listed cells (empty: no list), one row per EDTalk list, and what is odd."""

    cells: dict[Cell, set[str]]
    edtalk: list[dict[str, Any]]
    problems: list[Problem]


def parse_name(name: str) -> Recording | None:
    """`M003_level_2_contempt_001` -> actor, emotion, level, number."""
    found = _NAME.fullmatch(name)
    return None if found is None else (found[1], found[3], int(found[2]), found[4])


def parse_edtalk_name(name: str) -> Recording | None:
    """`M005#angry#level_1#001` -> actor, emotion, level, number; None for the names of HDTF segments."""
    found = _EDTALK_NAME.fullmatch(name)
    return None if found is None else (found[1], found[2], int(found[3]), found[4])


def actor_of(path: str) -> str | None:
    """The actor that a folder or the file's own name states."""
    found = [match[0] for part in PurePosixPath(path).parts if (match := _ACTOR.search(part))]
    return found[0] if found else None


def read_names(root: Path, paths: Iterable[str]) -> MeadNames:
    """The lists among `paths` (relative to `root`). Rows that cannot be read become problems."""
    chosen, problems = choose_lists(paths, (*NAME_LISTS, *EDTALK_LISTS))
    cells: dict[Cell, set[str]] = {}
    path = next((chosen[name] for name in NAME_LISTS if name in chosen), None)
    rows, odd = read_rows(root, path) if path is not None else ([], [])
    problems += odd
    for row in rows:
        found = parse_name(row.cells[0])
        if found is None:
            problems.append(Problem("malformed", row.where, f"`{row.cells[0]}` is no clip name: left out"))
        elif found[3] in cells.setdefault(found[:3], set()):
            problems.append(Problem("second_row", row.where, f"{row.cells[0]} is listed already"))
        else:
            cells[found[:3]].add(found[3])
    read = {name: _read_json(root, chosen[name], problems) for name in EDTALK_LISTS if name in chosen}
    edtalk = [_edtalk_row(name, names, cells) for name, names in read.items()]
    return MeadNames(cells, edtalk, [*problems, *_leaks(read)])


def _read_json(root: Path, path: str, problems: list[Problem]) -> list[str]:
    try:
        names = json.loads((root / path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        problems.append(Problem("unreadable_list", path, f"no JSON: {' '.join(str(error).split())}"))
        return []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        problems.append(Problem("unreadable_list", path, "expected a JSON array of names"))
        return []
    return names


def _edtalk_row(file: str, names: Sequence[str], cells: dict[Cell, set[str]]) -> dict[str, Any]:
    found = [recording for name in names if (recording := parse_edtalk_name(name))]
    actors = sorted({recording[0] for recording in found})
    return {
        "list": file,
        "mead_clips": len(found),
        "hdtf_segments": sum(name.count("#") == 1 for name in names),
        "speakers": len(actors),
        "speakers_by_name": actors,
        "not_in_the_name_list": sum(r[3] not in cells.get(r[:3], ()) for r in found) if cells else None,
    }


def _leaks(read: dict[str, list[str]]) -> list[Problem]:
    """HDTF videos of which EDTalk has segments in train and in test."""
    videos = [{clip.rpartition("_")[0] for name in names if (clip := _segment(name))} for names in read.values()]
    both = sorted(set.intersection(*videos)) if len(videos) == len(EDTALK_LISTS) else []
    return [Problem("leak", video, "EDTalk has segments of this HDTF video in train and in test") for video in both]


def _segment(name: str) -> str | None:
    clip, hash_sign, rest = name.partition("#")
    return clip if hash_sign and "#" not in rest else None
