"""MEAD, and corpora laid out like it: labels are found in the path, wherever they stand.

`<ACTOR>/video/<view>/<emotion>/level_<k>/<NNN>.mp4` and `<ACTOR>/audio/<emotion>/level_<k>/<NNN>.m4a`, where some
actors have `1` or `2` instead of `video`, or one more folder. So the actor is the first part like `M003`, and the
other folders are searched for exactly one view, one emotion and one level; reference/datasets.md 1.2.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from magictalk_core.corpora.records import ClipSource
from magictalk_core.corpora.registry import CorpusEntry
from magictalk_core.corpora.source import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from magictalk_core.corpora.splits import scheme_of, speaker_splits
from magictalk_core.vocabulary.clips import Split, clip_id
from magictalk_core.vocabulary.emotions import EMOTIONS

__all__ = ["MEAD_LICENCE", "SAMPLE_LICENCE", "VIEWS", "MeadPath", "find_clips", "parse_path"]

logger = logging.getLogger("magictalk.corpora")

VIEWS: tuple[str, ...] = ("front", "down", "top", "left_30", "left_60", "right_30", "right_60")

MEAD_LICENCE = "MEAD terms of use: non-commercial research only, no redistribution"
SAMPLE_LICENCE = "CC0 / public domain (NASA portrait, synthetic speech)"

_ACTOR = re.compile(r"[MW]\d{3}")
_LEVEL = re.compile(r"level_([123])")
_NUMBER = re.compile(r"\d{3}")


@dataclass(frozen=True)
class MeadPath:
    """What a path says. `view` is None for files of the audio tree, which serves all views."""

    actor: str
    view: str | None
    emotion: str
    level: int
    number: str

    @property
    def recording(self) -> tuple[str, str, int, str]:
        """The performance: equal for its views and its separate audio."""
        return self.actor, self.emotion, self.level, self.number


def parse_path(path: str) -> MeadPath | str:
    """The labels of a path relative to the root, or why it has none."""
    parts = PurePosixPath(path).parts
    actor = next((part for part in parts[:-1] if _ACTOR.fullmatch(part)), None)
    if actor is None:
        return "no folder named like an actor, M003 or W011"
    folders = [part for part in parts[:-1] if part != actor]
    views = [part for part in folders if part in VIEWS]
    emotions = [part for part in folders if part in EMOTIONS]
    levels = [match[1] for part in folders if (match := _LEVEL.fullmatch(part))]
    for what, found, fewest in (("view", views, 0), ("emotion", emotions, 1), ("level_k", levels, 1)):
        if not fewest <= len(found) <= 1:
            return f"{len(found)} folders name a{'n' if what == 'emotion' else ''} {what}, expected one"
    number = PurePosixPath(path).stem
    if not _NUMBER.fullmatch(number):
        return f"`{number}` is no clip number of three digits"
    return MeadPath(actor, views[0] if views else None, emotions[0], int(levels[0]), number)


def _parsed(source: pd.DataFrame, suffixes: Iterable[str]) -> dict[str, MeadPath | str]:
    paths = [path for path in source["path"] if PurePosixPath(path).suffix.lower() in suffixes]
    return {path: parse_path(path) for path in sorted(paths)}


def _separate_audio(source: pd.DataFrame) -> dict[tuple[str, str, int, str], Path]:
    """Recording -> audio file. One without a view folder comes before one with, then the first by name."""
    found = [(p, m) for p, m in _parsed(source, AUDIO_SUFFIXES).items() if isinstance(m, MeadPath)]
    found.sort(key=lambda item: (item[1].view is not None, item[0]), reverse=True)
    return {labels.recording: Path(path) for path, labels in found}


def _report_skipped(entry: CorpusEntry, skipped: dict[str, str]) -> None:
    if skipped:
        path, why = next(iter(skipped.items()))
        logger.warning("%s: %d files fit no MEAD path, first %s: %s", entry.name, len(skipped), path, why)


def find_clips(entry: CorpusEntry, source: pd.DataFrame) -> list[ClipSource]:
    """The clips of the wanted views, sorted by id. Files that fit no MEAD path are left out and reported in the log.

    `audio_path` is the separate recording of the audio tree, where there is one.
    """
    audio = _separate_audio(source)
    skipped: dict[str, str] = {}
    wanted: list[tuple[str, MeadPath]] = []
    for path, found in _parsed(source, VIDEO_SUFFIXES).items():
        if isinstance(found, str):
            skipped[path] = found
        elif found.view is None:
            skipped[path] = "no folder names a view"
        elif found.view in entry.views:
            wanted.append((path, found))
    _report_skipped(entry, skipped)
    splits = speaker_splits((found.actor for _, found in wanted), scheme_of(entry))
    clips = [_clip(entry, path, found, audio.get(found.recording), splits[found.actor]) for path, found in wanted]
    return sorted(clips, key=lambda clip: clip.clip_id)


def _clip(entry: CorpusEntry, path: str, found: MeadPath, audio: Path | None, split: Split) -> ClipSource:
    own = SAMPLE_LICENCE if entry.kind == "sample" else MEAD_LICENCE
    return ClipSource(
        clip_id=clip_id(entry.name, found.actor, f"{found.view}-{found.emotion}-level_{found.level}-{found.number}"),
        corpus=entry.name,
        shard=found.actor,
        speaker=found.actor,
        source=found.actor,
        path=Path(path),
        audio_path=audio,
        emotion=found.emotion,
        level=found.level,
        view=found.view,
        licence=own if entry.licence == "unknown" else entry.licence,
        split=split,
    )
