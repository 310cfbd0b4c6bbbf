"""MEAD, and corpora laid out like it: labels are found in the path, wherever they stand.

`<ACTOR>/video/<view>/<emotion>/level_<k>/<NNN>.mp4` and `<ACTOR>/audio/<emotion>/level_<k>/<NNN>.m4a`, where some
actors have `1` or `2` instead of `video`, or one more folder. So the actor is the first part like `M003`, and the
other folders are searched for exactly one view, one emotion and one level; reference/datasets.md 1.2.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from magictalk_core.corpora.mead.splits import mead_splits
from magictalk_core.corpora.raw_files import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from magictalk_core.corpora.records import ClipSource, Corpus
from magictalk_core.vocabulary.clips import Split, clip_id
from magictalk_core.vocabulary.emotions import EMOTIONS

__all__ = ["VIEWS", "MeadPath", "find_clips", "parse_path"]

logger = logging.getLogger("magictalk.corpora")

VIEWS: tuple[str, ...] = ("front", "down", "top", "left_30", "left_60", "right_30", "right_60")

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


def _parsed(paths: Sequence[str], suffixes: frozenset[str]) -> dict[str, MeadPath | str]:
    media = [path for path in paths if PurePosixPath(path).suffix.lower() in suffixes]
    return {path: parse_path(path) for path in sorted(media)}


def _separate_audio(paths: Sequence[str]) -> dict[tuple[str, str, int, str], Path]:
    """Recording -> audio file. One without a view folder comes before one with, then the first by name."""
    found = [(p, m) for p, m in _parsed(paths, AUDIO_SUFFIXES).items() if isinstance(m, MeadPath)]
    found.sort(key=lambda item: (item[1].view is not None, item[0]), reverse=True)
    return {labels.recording: Path(path) for path, labels in found}


def _report_skipped(corpus: Corpus, skipped: dict[str, str]) -> None:
    if skipped:
        path, why = next(iter(skipped.items()))
        logger.warning("%s: %d files fit no MEAD path, first %s: %s", corpus.name, len(skipped), path, why)


def find_clips(corpus: Corpus, paths: Sequence[str]) -> list[ClipSource]:
    """The clips of the wanted views, sorted by id. Files that fit no MEAD path are left out and reported in the log.

    `audio_path` is the separate recording of the audio tree, where there is one.
    """
    audio = _separate_audio(paths)
    skipped: dict[str, str] = {}
    wanted: list[tuple[str, MeadPath]] = []
    for path, found in _parsed(paths, VIDEO_SUFFIXES).items():
        if isinstance(found, str):
            skipped[path] = found
        elif found.view is None:
            skipped[path] = "no folder names a view"
        elif found.view in corpus.views:
            wanted.append((path, found))
    _report_skipped(corpus, skipped)
    splits = mead_splits((found.actor for _, found in wanted), corpus.split)
    clips = [_clip(corpus, path, found, audio.get(found.recording), splits[found.actor]) for path, found in wanted]
    return sorted(clips, key=lambda clip: clip.clip_id)


def _clip(corpus: Corpus, path: str, found: MeadPath, audio: Path | None, split: Split) -> ClipSource:
    return ClipSource(
        clip_id=clip_id(corpus.name, found.actor, f"{found.view}-{found.emotion}-level_{found.level}-{found.number}"),
        corpus=corpus.name,
        shard=corpus.shard(found.actor, found.actor),
        speaker=found.actor,
        source=found.actor,
        path=Path(path),
        audio_path=audio,
        emotion=found.emotion,
        level=found.level,
        view=found.view,
        licence=corpus.licence,
        split=split,
    )
