"""What a look at a corpus's lists and names finds, and the counts that every kind can give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from magictalk_core.corpora.records import ClipSource

__all__ = ["Findings", "Problem", "count_clips", "missing_facts"]

_EXAMPLES = 10


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
