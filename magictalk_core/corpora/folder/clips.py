"""A folder of videos: every video is a clip; labels, where there are any, come from a CSV file (`labels.py`).

A video without a row keeps the defaults: itself as its speaker, no emotion, the licence of the corpus.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from magictalk_core.corpora.findings import Problem, split_problems
from magictalk_core.corpora.folder.labels import Labels, LabelsFile, read_labels
from magictalk_core.corpora.raw_files import VIDEO_SUFFIXES
from magictalk_core.corpora.records import ClipSource, Corpus
from magictalk_core.corpora.splits import clip_splits, is_split_by_clip, speaker_splits
from magictalk_core.errors import UserError
from magictalk_core.vocabulary.clips import Split, clip_id

__all__ = ["FolderClips", "find_clips", "look_at_folder"]

logger = logging.getLogger("magictalk.corpora")


@dataclass(frozen=True)
class FolderClips:
    """The clips, sorted by id, and what people must know of their labels and splits."""

    clips: list[ClipSource]
    problems: tuple[Problem, ...]


def find_clips(corpus: Corpus, paths: Sequence[str]) -> list[ClipSource]:
    """Every video as one clip, sorted by id; audio files are not used. Oddities are logged."""
    found = look_at_folder(corpus, paths)
    absent = [problem for problem in found.problems if problem.kind == "absent_video"]
    if absent:
        logger.warning(
            "%s: %d rows of the labels name videos that are not here, first %s: %s; all: `magictalk corpus check %s`",
            corpus.name, len(absent), absent[0].where, absent[0].what, corpus.name,
        )  # fmt: skip
    for problem in found.problems:
        if problem not in absent:
            logger.warning("%s: %s", problem.where, problem.what)
    return found.clips


def look_at_folder(corpus: Corpus, paths: Sequence[str]) -> FolderClips:
    """Raises `UserError` where the labels cannot be understood."""
    videos = [path for path in paths if PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES]
    labels = LabelsFile({}) if corpus.labels is None else read_labels(corpus.labels, set(videos), corpus.root)
    speakers = {path: _label(labels, path).speaker or _source(path) for path in videos}
    by_clip = is_split_by_clip(corpus.split, speakers.values())
    splits = _clip_splits(speakers, labels) if by_clip else _speaker_splits(corpus, speakers, labels)
    clips = [_clip(corpus, path, speakers[path], splits[path], _label(labels, path)) for path in videos]
    clips.sort(key=lambda clip: clip.clip_id)
    # Whoever asks for training clips alone knows that nothing is held out.
    splits_said = [] if corpus.split == "train" else split_problems(corpus.name, clips)
    return FolderClips(clips, (*labels.absent, *splits_said))


def _label(labels: LabelsFile, path: str) -> Labels:
    return labels.rows.get(path, Labels(0))


def _source(path: str) -> str:
    """The path without its suffix."""
    return PurePosixPath(path).with_suffix("").as_posix()


def _clip_splits(speakers: Mapping[str, str], labels: LabelsFile) -> dict[str, Split]:
    """path -> split: as the labels say, all others are learned from; without a word of the labels by rank."""
    said = {path: row.split for path, row in labels.rows.items() if row.split is not None}
    if said:
        return dict.fromkeys(speakers, Split.TRAIN) | said
    splits = clip_splits(_source(path) for path in speakers)
    return {path: splits[_source(path)] for path in speakers}


def _speaker_splits(corpus: Corpus, speakers: Mapping[str, str], labels: LabelsFile) -> dict[str, Split]:
    """path -> split of its speaker: as the labels say, and by the corpus's scheme for speakers without one."""
    said: dict[str, tuple[Split, int]] = {}
    for path, row in labels.rows.items():
        if row.split is None:
            continue
        before = said.setdefault(speakers[path], (row.split, row.line))
        if before[0] != row.split:
            raise UserError(
                f"{corpus.labels}:{row.line}: speaker `{speakers[path]}` is in {row.split}, but in {before[0]} in line "
                f"{before[1]}: a speaker belongs to one split, unless the corpus is registered with --split clip"
            )
    rest = set(speakers.values()) - set(said)
    splits = speaker_splits(rest, corpus.split) | {speaker: split for speaker, (split, _) in said.items()}
    return {path: splits[speaker] for path, speaker in speakers.items()}


def _clip(corpus: Corpus, path: str, speaker: str, split: Split, labels: Labels) -> ClipSource:
    source = _source(path)
    return ClipSource(
        clip_id=clip_id(corpus.name, source, "full"),
        corpus=corpus.name,
        shard=corpus.shard(speaker, source),
        speaker=speaker,
        source=source,
        path=Path(path),
        emotion=labels.emotion,
        level=labels.level,
        licence=labels.licence or corpus.licence,
        split=split,
    )
