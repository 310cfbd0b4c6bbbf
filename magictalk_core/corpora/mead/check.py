"""MEAD as it should be against what is here: names in public lists, the tree of folders, archives not yet unpacked.

MEAD has no official clip list. `clip_names.txt` (or `list_full_mead_annotated.txt` of filby89/spectre, whose first
column it is) and EDTalk's `train.json` and `test.json` are looked for below the root; reference/datasets.md 1.3-1.6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from statistics import median
from typing import Any

from magictalk_core.corpora.findings import Findings, Problem
from magictalk_core.corpora.mead.clips import VIEWS, MeadPath, parse_path
from magictalk_core.corpora.mead.lists import Cell, MeadNames, Recording, actor_of, read_names
from magictalk_core.corpora.raw_files import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from magictalk_core.corpora.records import Corpus
from magictalk_core.vocabulary.emotions import EMOTIONS

__all__ = ["GAPPED_ACTORS", "MEAD_ACTORS", "check_mead", "is_gapped"]

MEAD_ACTORS: tuple[str, ...] = tuple(
    [f"M{n:03d}" for n in (3, 5, 7, 9, 11, 12, 13, 19, *range(22, 36), 37, 39, 40, 41, 42)]
    + [f"W{n:03d}" for n in (9, 11, 14, 15, 16, 18, 19, 21, 23, 24, 25, 26, 28, 29, 33, 35, 36, 37, 38, 40)]
)
"""The 47 actors with a usable front view. Source: filby89/spectre:data/list_full_mead_annotated.txt."""

GAPPED_ACTORS = frozenset(MEAD_ACTORS[22:27] + MEAD_ACTORS[34:])
"""The 18 whose clip numbers leave blocks out, up to 058 (077 for neutral)."""

KNOWN_DEFECTS: dict[str, str] = {
    "W017": "only the view `down` was released (uniBruce/Mead #9)",
    "M019": "some emotions and views are missing, and its video.tar did not unpack in 2023 (uniBruce/Mead #9, #28)",
    "M011": "some emotions and views are missing (uniBruce/Mead #9)",
}

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
_MANY_BLOCKS = 3
_EXAMPLES = 5

CELLS: tuple[tuple[str, int], ...] = tuple((e, k) for e in EMOTIONS for k in ((1,) if e == "neutral" else (1, 2, 3)))
"""Emotion and level of the cells of one actor."""


@dataclass
class _Tree:
    """What the folders hold, by recording; `views` counts the videos of each view and actor."""

    wanted: dict[Cell, set[str]] = field(default_factory=dict)
    views: Counter[tuple[str, str]] = field(default_factory=Counter)
    videos: set[Recording] = field(default_factory=set)
    audio: set[Recording] = field(default_factory=set)
    unfit: dict[str, list[str]] = field(default_factory=dict)
    archives: list[str] = field(default_factory=list)

    @property
    def n_wanted(self) -> int:
        return sum(map(len, self.wanted.values()))


def _tree(corpus: Corpus, files: Iterable[str]) -> _Tree:
    tree = _Tree()
    for path in files:
        suffix = path[path.rfind(".") :].lower()
        if path.lower().endswith(_ARCHIVES):
            tree.archives.append(path)
        elif suffix in VIDEO_SUFFIXES or suffix in AUDIO_SUFFIXES:
            found = parse_path(path)
            is_video = suffix in VIDEO_SUFFIXES
            if isinstance(found, str) or (is_video and found.view is None):
                tree.unfit.setdefault(found if isinstance(found, str) else "no folder names a view", []).append(path)
            elif is_video:
                _add_video(tree, found, corpus.views)
            else:
                tree.audio.add(found.recording)
    return tree


def _add_video(tree: _Tree, found: MeadPath, views: Sequence[str]) -> None:
    tree.videos.add(found.recording)
    tree.views[found.actor, str(found.view)] += 1
    if found.view in views:
        tree.wanted.setdefault((found.actor, found.emotion, found.level), set()).add(found.number)


def is_gapped(cells: Iterable[Iterable[str]]) -> bool:
    """Whether the clip numbers of an actor's cells come in blocks with holes between them, not one after another."""
    blocks = [_blocks(sorted({int(number) for number in numbers})) for numbers in cells]
    return bool(blocks) and median(blocks) >= _MANY_BLOCKS


def _blocks(numbers: Sequence[int]) -> int:
    return sum(number != before + 1 for before, number in zip([-1, *numbers], numbers, strict=False))


def expected_clips(emotion: str) -> int:
    """Sentences per actor, emotion and level."""
    return 40 if emotion == "neutral" else 30


def check_mead(corpus: Corpus, files: Mapping[str, int]) -> Findings:
    """Clips by actor, emotion and level: expected, listed and found in the views of the corpus.

    `files`: path below the root -> bytes.
    """
    names, tree = read_names(corpus.root, files), _tree(corpus, files)
    actors = sorted({*MEAD_ACTORS, *(cell[0] for cell in names.cells), *(actor for actor, _ in tree.views)})
    gapped = {
        actor: is_gapped(numbers for (who, *_), numbers in (names.cells or tree.wanted).items() if who == actor)
        for actor in actors
    }
    cells = [_cell_row(actor, emotion, level, names, tree) for actor in actors for emotion, level in CELLS]
    by_actor = [_actor_row(actor, gapped[actor], [row for row in cells if row["actor"] == actor]) for actor in actors]
    facts = _facts(names, tree, cells, [actor for actor in actors if gapped[actor]])
    tables = {"actors": by_actor, "cells": cells, "EDTalk lists": names.edtalk}
    return Findings(facts, {k: rows for k, rows in tables.items() if rows}, [*names.problems, *_remarks(names, tree)])


def _cell_row(actor: str, emotion: str, level: int, names: MeadNames, tree: _Tree) -> dict[str, Any]:
    cell = actor, emotion, level
    return {
        "actor": actor,
        "emotion": emotion,
        "level": level,
        "expected": expected_clips(emotion),
        "listed": len(names.cells.get(cell, ())) if names.cells else None,
        "found": len(tree.wanted.get(cell, ())) if tree.wanted else None,
    }


def _actor_row(actor: str, gapped: bool, cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Clips of an actor, over the levels: found of listed where both are known."""
    row: dict[str, Any] = {"actor": actor, "ids": "blocks" if gapped else "row"}
    for emotion in EMOTIONS:
        of_emotion = [cell for cell in cells if cell["emotion"] == emotion]
        row[emotion] = "/".join(
            str(n) for n in (_sum(of_emotion, "found"), _sum(of_emotion, "listed")) if n is not None
        )
    return row | {key: _sum(cells, key) for key in ("expected", "listed", "found")}


def _sum(cells: Iterable[Mapping[str, Any]], key: str) -> int | None:
    values = [cell[key] for cell in cells if cell[key] is not None]
    return sum(values) if values else None


def _facts(names: MeadNames, tree: _Tree, cells: Sequence[Mapping[str, Any]], gapped: list[str]) -> dict[str, Any]:
    listed, found = {cell[0] for cell in names.cells}, {actor for actor, _ in tree.views}
    facts: dict[str, Any] = {"expected_speakers": len(MEAD_ACTORS)}
    facts["expected_clips"] = len(MEAD_ACTORS) * sum(expected_clips(emotion) for emotion, _ in CELLS)
    if names.cells:
        facts |= {"listed_clips": sum(map(len, names.cells.values())), "listed_speakers": len(listed)}
        men = sum(actor.startswith("M") for actor in listed)
        facts |= {"listed_men": men, "listed_women": len(listed) - men}
    # A part of MEAD on disk has a part of the gapped actors.
    wrong = {actor for actor in (listed or found) & set(MEAD_ACTORS) if (actor in gapped) != (actor in GAPPED_ACTORS)}
    facts |= {"gapped_actors": gapped, "gapped_otherwise_than_known": sorted(wrong)}
    facts |= {"clips_here": tree.n_wanted, "speakers_here": len(found)}
    facts["videos_by_view"] = {view: sum(n for (_, v), n in tree.views.items() if v == view) for view in VIEWS}
    for key in ("listed", "found"):
        of_known = [cell for cell in cells if cell[key] is not None]
        if of_known:
            facts[f"cells_{key}_full"] = sum(cell[key] >= cell["expected"] for cell in of_known)
            facts[f"cells_{key}_short"] = len(of_known) - facts[f"cells_{key}_full"]
    if names.cells and tree.wanted:
        facts["listed_but_missing"] = sum(len(n - tree.wanted.get(cell, set())) for cell, n in names.cells.items())
        facts["found_but_not_listed"] = sum(len(n - names.cells.get(cell, set())) for cell, n in tree.wanted.items())
    return facts | {
        "speakers_missing": [actor for actor in MEAD_ACTORS if actor not in found],
        "videos_without_audio_file": len(tree.videos - tree.audio),
        "audio_files_without_video": len(tree.audio - tree.videos),
        "archives": len(tree.archives),
    }


def _remarks(names: MeadNames, tree: _Tree) -> list[Problem]:
    found = {actor for actor, _ in tree.views}
    problems = []
    for why, paths in sorted(tree.unfit.items()):
        problems.append(Problem("unfit_path", paths[0], f"{why}; {len(paths)} such files are left out"))
    for actor in sorted(found - set(MEAD_ACTORS) - set(KNOWN_DEFECTS)):
        problems.append(Problem("unknown_actor", actor, "is none of the 47 actors with a usable front view"))
    absent = [actor for actor in MEAD_ACTORS if actor not in found]
    if found and absent:
        problems.append(Problem("missing_actor", ", ".join(absent), f"{len(absent)} of the 47 actors are not here"))
    problems += _packed(tree)
    for actor, what in KNOWN_DEFECTS.items():
        views = ", ".join(f"{view} {tree.views[actor, view]}" for view in VIEWS if tree.views[actor, view])
        problems.append(Problem("known_defect", actor, f"{what}; videos here: {views or 'none'}"))
    return [*problems, *_holes(names.cells or tree.wanted), *_short(names, tree), *_unpaired(tree)]


def _packed(tree: _Tree) -> list[Problem]:
    """Archives whose actor has no files of their kind yet."""
    problems = []
    for path in tree.archives:
        actor, name = actor_of(path), PurePosixPath(path).name
        kind = "audio" if "audio" in name.lower() else "video"
        if actor is None or all(
            recording[0] != actor for recording in (tree.audio if kind == "audio" else tree.videos)
        ):
            problems.append(Problem("packed", path, f"no {kind} of {actor or 'its actors'} is unpacked"))
    return problems


def _holes(cells: Mapping[Cell, set[str]]) -> list[Problem]:
    """Single numbers that an actor with numbers in a row lacks. Gapped actors lack whole blocks; those are no holes."""
    problems = []
    for actor in sorted({cell[0] for cell in cells}):
        own = {cell: numbers for cell, numbers in cells.items() if cell[0] == actor}
        if is_gapped(own.values()):
            continue
        for (_, emotion, level), numbers in sorted(own.items()):
            present = {int(number) for number in numbers}
            if lost := [f"{n:03d}" for n in range(1, max(present) + 1) if n not in present]:
                problems.append(Problem("hole", f"{actor} {emotion} level_{level}", f"has no {', '.join(lost[:12])}"))
    return problems


def _short(names: MeadNames, tree: _Tree) -> list[Problem]:
    """Cells that hold less than the list says or, without a list, than MEAD's plan."""
    problems = []
    known, here = names.cells or tree.wanted, tree.wanted or names.cells
    for actor in sorted({cell[0] for cell in here}):
        for emotion, level in CELLS:
            cell = actor, emotion, level
            plan, listed, found = expected_clips(emotion), len(known.get(cell, ())), len(here.get(cell, ()))
            # Without media the list is held against the plan.
            wanted = listed if names.cells and tree.wanted else plan
            if found < wanted:
                problems.append(Problem("short_cell", f"{actor} {emotion} level_{level}", f"{found} of {wanted} clips"))
    return problems


def _unpaired(tree: _Tree) -> list[Problem]:
    problems = []
    # Sound inside the videos will do: without any audio file nothing is amiss.
    silent, unseen = tree.videos - tree.audio, tree.audio - tree.videos
    pairs = (("video_without_audio_file", silent if tree.audio else set()), ("audio_file_without_video", unseen))
    for kind, recordings in pairs:
        by_actor = Counter(recording[0] for recording in recordings)
        for actor, n in sorted(by_actor.items()):
            first = min(r for r in recordings if r[0] == actor)
            problems.append(Problem(kind, actor, f"{n} recordings, first {first[1]} level_{first[2]} {first[3]}"))
    return problems
