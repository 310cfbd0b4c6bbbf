"""What a look at a corpus's lists and names finds, and the counts that every kind can give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from magictalk_core.corpora.records import ClipSource
from magictalk_core.vocabulary.clips import Split

__all__ = ["Findings", "Problem", "count_clips", "missing_facts", "problem_of_unused", "split_problems"]

_EXAMPLES = 10
_NAMED = 3


@dataclass(frozen=True)
class Problem:
    """One thing in a list or on disk that a reader must know. `kind` is a short code, `where` is `file:line` or a
    name, `what` says what was found and how it is read. None of them stops anything."""

    kind: str
    where: str
    what: str


@dataclass(frozen=True)
class Findings:
    """What a look at lists and names found: single numbers, tables (name -> rows of equal keys), and oddities."""

    facts: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def count_clips(clips: Sequence[ClipSource]) -> Findings:
    """Clips and speakers, and clips by emotion, split and licence: what can be said without an official list."""
    facts = {
        "clips": len(clips),
        "speakers": len({clip.speaker for clip in clips}),
        "clips_without_emotion": sum(clip.emotion is None for clip in clips),
    }
    tables = {}
    for name in ("emotion", "split", "licence"):
        counts = Counter(str(getattr(clip, name) or "none") for clip in clips)
        tables[f"clips by {name}"] = [{name: value, "clips": n} for value, n in sorted(counts.items())]
    return Findings(facts, tables)


def problem_of_unused(paths: Sequence[str], why: str = "") -> Problem:
    """Files that are not taken, counted by suffix, the first of each by name."""
    by_suffix: dict[str, list[str]] = {}
    for path in sorted(paths):
        by_suffix.setdefault(PurePosixPath(path).suffix.lower() or "no suffix", []).append(path)
    groups = [f"{suffix} {len(group)} ({_some(group)})" for suffix, group in by_suffix.items()]
    files = "1 file is" if len(paths) == 1 else f"{len(paths)} files are"
    return Problem("not_taken", f"{files} left out", ", ".join(groups) + (f"; {why}" if why else ""))


def _some(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else ", ".join(paths[:_NAMED]) + (", ..." if len(paths) > _NAMED else "")


def split_problems(corpus: str, clips: Sequence[ClipSource]) -> list[Problem]:
    """Whether clips of one speaker are held out, and which split has no clip."""
    found = []
    splits_of: dict[str, set[Split]] = {}
    for clip in clips:
        splits_of.setdefault(clip.speaker, set()).add(clip.split)
    shared = [speaker for speaker, splits in splits_of.items() if len(splits) > 1]
    if shared:
        what = f"clips are held out, not speakers (first {min(shared)}): scores tell nothing about other people"
        found.append(Problem("held_out_by_clip", corpus, what))
    counts = Counter(clip.split for clip in clips)
    empty = [split for split in (Split.VAL, Split.TEST) if clips and not counts[split]]
    if empty:
        # Three clips are one for each split.
        remedy = "add clips" if len(clips) <= len(Split) else "add speakers, or hold out clips: --split clip"
        what = f"no clip in the {' and '.join(empty)} split: {_what_is_missing(empty)}"
        found.append(Problem("empty_split", corpus, f"{what}; {remedy}"))
    return found


def _what_is_missing(empty: Sequence[Split]) -> str:
    said = {Split.VAL: "no held-out loss is measured", Split.TEST: "nothing is generated, scored or shown"}
    return ", ".join(said[split] for split in empty)


def missing_facts(clips: Sequence[ClipSource]) -> dict[str, Any]:
    """How many of the listed clips are here, and the first that are not."""
    missing = [clip for clip in clips if clip.path is None]
    return {
        "clips": len(clips),
        "clips_here": len(clips) - len(missing),
        "clips_missing": len(missing),
        "sources_missing": len({clip.source for clip in missing}),
        "first_missing": [clip.clip_id for clip in missing[:_EXAMPLES]],
    }
