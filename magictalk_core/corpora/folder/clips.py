"""A folder of videos: every video is a clip; labels, where there are any, come from a CSV file.

The labels file has a header and the columns `path` (relative to the corpus folder) and any of `speaker`, `emotion`,
`level`, `split`, `licence`. Empty cells mean nothing is known. A video without a row keeps the defaults: itself as its
speaker, no emotion, the licence of the corpus.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from magictalk_core.corpora.raw_files import VIDEO_SUFFIXES
from magictalk_core.corpora.records import ClipSource, Corpus
from magictalk_core.corpora.splits import speaker_splits
from magictalk_core.errors import UserError
from magictalk_core.vocabulary.clips import Split, clip_id
from magictalk_core.vocabulary.emotions import EMOTIONS, emotion_named

__all__ = ["Labels", "find_clips", "read_labels"]

COLUMNS = ("path", "speaker", "emotion", "level", "split", "licence")


@dataclass(frozen=True)
class Labels:
    """One row of the labels file; None where the cell is empty. `line` is for messages."""

    line: int
    speaker: str | None = None
    emotion: str | None = None
    level: int | None = None
    split: Split | None = None
    licence: str | None = None


def read_labels(file: Path, listed: set[str]) -> dict[str, Labels]:
    """path -> labels. Raises `UserError` with file and line for unknown columns, paths and values."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(file, header)
            labels: dict[str, Labels] = {}
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    _add_row(labels, file, reader.line_num, header, cells, listed)
    except OSError as error:
        raise UserError(f"cannot read the labels file {file}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} is no CSV file in UTF-8: {error}") from error
    return labels


def _check_header(file: Path, header: list[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    if unknown or "path" not in header or len(set(header)) != len(header):
        raise UserError(
            f"{file}:1: expected a header with `path` and any of {', '.join(COLUMNS[1:])}, each once; found "
            f"{', '.join(header) or 'nothing'}" + (f" (unknown: {', '.join(unknown)})" if unknown else "")
        )


def _add_row(
    labels: dict[str, Labels], file: Path, line: int, header: list[str], cells: list[str], listed: set[str]
) -> None:
    where = f"{file}:{line}"
    if len(cells) != len(header):
        raise UserError(f"{where}: expected {len(header)} cells, found {len(cells)}")
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    # Spaces at the ends may belong to a file name.
    raw = cells[header.index("path")]
    path = raw if raw in listed else PurePosixPath(row["path"]).as_posix()
    if path not in listed:
        raise UserError(f"{where}: no video `{row['path']}` below the corpus folder: paths are relative to it")
    if path in labels:
        raise UserError(f"{where}: `{path}` has labels already, in line {labels[path].line}")
    labels[path] = Labels(
        line,
        row.get("speaker") or None,
        _emotion(row.get("emotion", ""), where),
        _level(row.get("level", ""), where),
        _split(row.get("split", ""), where),
        row.get("licence") or None,
    )


def _emotion(text: str, where: str) -> str | None:
    name = emotion_named(text)
    if not name:
        return None
    if name not in EMOTIONS:
        raise UserError(f"{where}: emotion `{text}` is unknown: expected one of {', '.join(EMOTIONS)}")
    return name


def _level(text: str, where: str) -> int | None:
    if not text:
        return None
    if text not in ("1", "2", "3"):
        raise UserError(f"{where}: level `{text}` is unknown: expected 1, 2 or 3")
    return int(text)


def _split(text: str, where: str) -> Split | None:
    if not text:
        return None
    if text not in tuple(Split):
        raise UserError(f"{where}: split `{text}` is unknown: expected one of {', '.join(Split)}")
    return Split(text)


def find_clips(corpus: Corpus, paths: Sequence[str]) -> list[ClipSource]:
    """Every video as one clip, sorted by id; audio files are not used."""
    videos = [path for path in paths if PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES]
    labels = {} if corpus.labels is None else read_labels(corpus.labels, set(videos))
    speakers = {path: _label(labels, path).speaker or _source(path) for path in videos}
    splits = _splits(corpus, speakers, labels)
    clips = [_clip(corpus, path, speakers[path], splits[speakers[path]], _label(labels, path)) for path in videos]
    return sorted(clips, key=lambda clip: clip.clip_id)


def _label(labels: Mapping[str, Labels], path: str) -> Labels:
    return labels.get(path, Labels(0))


def _source(path: str) -> str:
    """The path without its suffix."""
    return PurePosixPath(path).with_suffix("").as_posix()


def _splits(corpus: Corpus, speakers: Mapping[str, str], labels: Mapping[str, Labels]) -> dict[str, Split]:
    """speaker -> split: as the labels say, and by the corpus's scheme for speakers without one."""
    said: dict[str, tuple[Split, int]] = {}
    for path, row in labels.items():
        if row.split is None:
            continue
        before = said.setdefault(speakers[path], (row.split, row.line))
        if before[0] != row.split:
            raise UserError(
                f"{corpus.labels}:{row.line}: speaker `{speakers[path]}` is in {row.split}, but in {before[0]} in line "
                f"{before[1]}: a speaker belongs to one split"
            )
    rest = set(speakers.values()) - set(said)
    return speaker_splits(rest, corpus.split) | {speaker: split for speaker, (split, _) in said.items()}


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
